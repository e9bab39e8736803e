"""Advisory locks of PostgreSQL: which programs work on a database, and who keeps which of them off."""

from __future__ import annotations

import threading
from collections.abc import Callable

from appliance import clock
from appliance.errors import Locked

DATABASE_KEY = 0x636F6D70 << 32 | 1
"""The lock that servers share, and that who changes a database as a whole has alone."""

PROGRAMS_KEY = 0x636F6D71
"""The class of locks that have the number of a migration: a server shares that of the newest one it
knows, and who applies what it could not follow has it alone."""

PATIENCE_S = 1.0
"""PostgreSQL takes a moment to notice that the server before this one is gone."""

SERVED = "Servers work on this PostgreSQL database; stop them first (`nodes` lists them)."
CHANGED_AS_A_WHOLE = (
    "A command changes this PostgreSQL database as a whole (migrate, import or move); start the"
    " server when it is done."
)
CANNOT_FOLLOW = (
    "This version changes the schema in a way that servers which run on this PostgreSQL database"
    " cannot follow; stop them first (`nodes` lists them)."
)


def patiently(claim: Callable[[], bool], refusal: str) -> None:
    """Try to *claim* something for a moment. Raises Locked with the sentence of *refusal*."""
    deadline = clock.monotonic() + PATIENCE_S
    while not claim():
        if clock.monotonic() > deadline:
            raise Locked(refusal)
        threading.Event().wait(0.05)
