"""A guard over the files of the database: it wakes up when a name in their directory changes.

The writer looks at its files with every commit. An idle server has no commits, and nothing in it
polls: the kernel sends SIGIO when a name in the directory was made, deleted or given to another file.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from appliance.config import DatabaseSettings
from appliance.store.database import Database

_NAMES = fcntl.DN_CREATE | fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT


@contextmanager
def guarding(db: Database, settings: DatabaseSettings) -> Iterator[None]:
    """Have *db* look at its files at once when names beside them change; PostgreSQL needs no look."""
    if settings.driver != "sqlite" or settings.path == ":memory:":
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGIO, db.write, lambda _: None)  # looks, and stores nothing
    directory = os.open(Path(settings.path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a kernel without it: the next commit looks
            fcntl.fcntl(directory, fcntl.F_NOTIFY, _NAMES)
        yield
    finally:
        os.close(directory)  # before the handler goes: an unhandled SIGIO would kill
        loop.remove_signal_handler(signal.SIGIO)
