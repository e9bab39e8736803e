"""Actors: on whose behalf something is done, and what they may do."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from appliance.errors import Forbidden, InvalidInput

Role = Literal["admin", "user"]


class Actor(msgspec.Struct, frozen=True):
    """A user as one request sees it. `role` is what counts here: that of the user or less."""

    user_id: str
    email: str
    role: Role
    key_id: str | None = None
    """The API key that was shown; None for a session."""


SYSTEM = Actor(user_id="system", email="system", role="admin")
"""The appliance itself, and whoever may read its data directory."""

NOBODY = Actor(user_id="", email="", role="user")
"""Somebody who has not proven who they are."""


def require_admin(actor: Actor) -> None:
    """Raise Forbidden unless *actor* is an admin."""
    if actor.role != "admin":
        raise Forbidden


def check_role(role: str) -> None:
    """Raise InvalidInput unless *role* is one."""
    if role not in get_args(Role):
        raise InvalidInput(f"The role is {role!r}; it must be admin or user.")


def least(first: Role, second: Role) -> Role:
    """Return the role that may do less."""
    return "admin" if first == second == "admin" else "user"
