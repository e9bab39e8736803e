"""Copying a SQLite database that is in use: one moment of it, into an empty file that exists."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from appliance import atomic

PAGES_PER_STEP = 1000


def copy(source: sqlite3.Connection, path: Path, pause: Callable[[], None]) -> None:
    """Write what *source* sees at this moment to *path*, while others go on writing.

    *pause* is called every few megabytes and may raise to give up. Raises: sqlite3.Error.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as target:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # nobody needs half a copy
            target.execute(f"PRAGMA {pragma}")
        source.execute("BEGIN")  # one snapshot for all steps, or each commit would start us over
        source.execute("PRAGMA schema_version").fetchone()
        source.backup(target, pages=PAGES_PER_STEP, progress=lambda *_: pause(), sleep=0)


def dump(memory: sqlite3.Connection, path: Path) -> None:
    """Write a database in memory to *path*. Raises: StorageFull, StorageBroken."""
    try:
        with path.open("r+b") as file:
            file.write(memory.serialize())
    except OSError as error:
        raise atomic.fault(error, path) from error
