"""Restore: the database of an archive takes the place of the one in use, whole or not at all.

The order of the steps is what makes a crash harmless. Up to the one rename that puts the new file
in place, the old database is complete under its name; from then on the new one is. What SQLite
keeps beside a database (`-wal`, `-journal`) belongs to the old one and would be played into the
new one, so it is folded into the old file, and gone from the disk, before that rename.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from appliance import atomic, clock
from appliance.backup import verification
from appliance.backup.archive import Manifest
from appliance.config import DatabaseSettings
from appliance.errors import Locked, NotFound, NotSupported
from appliance.failpoint import failpoint
from appliance.store import faults
from appliance.store.datadir import BEFORE_RESTORE, DataDirectory, held, sweep_second_names

_COMPANIONS = ("-wal", "-shm", "-journal")
_UNREADABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Restored(msgspec.Struct, frozen=True):
    """What was restored, and where the database is that was there before (None: there was none)."""

    manifest: Manifest
    previous: str | None


def restore(
    source: Path, data: DataDirectory, settings: DatabaseSettings, *, dry_run: bool = False
) -> Restored:
    """Put the database of the archive *source* in place of that in *settings*. No server may run.

    With *dry_run* everything is checked and nothing is changed.

    Raises: NotFound, NotSupported, Locked, DamagedArchive, DatabaseTooNew, StorageFull; nothing has
    happened then.
    """
    database = _target(settings)
    if not source.is_file():
        raise NotFound(f"There is no archive {source}.")
    data.prepare()
    with held(data, settings.path), source.open("rb") as file, atomic.scratch(database) as fresh:
        manifest = verification.unpack(file, fresh)
        if dry_run:
            return Restored(manifest, None)
        os.fsync(fresh.fileno())
        failpoint("restore.unpacked")
        previous = _put_in_place(Path(fresh.name), database)
    return Restored(manifest, str(previous) if previous else None)


def _target(settings: DatabaseSettings) -> Path:
    if settings.driver != "sqlite":
        raise NotSupported(
            "PostgreSQL is restored with its own tool: "
            "pg_restore --clean --if-exists --dbname=<url of the database> compozy.dump."
        )
    if settings.path == ":memory:":
        raise NotSupported("A database in memory cannot be restored; give it a file.")
    return Path(settings.path)


def _put_in_place(fresh: Path, database: Path) -> Path | None:
    previous = None
    if database.exists():
        previous = _free_name(database)
        _fold(database, previous)
        failpoint("restore.folded")
        previous.hardlink_to(database)
        failpoint("restore.kept")
    try:
        for suffix in _COMPANIONS:
            _beside(database, suffix).unlink(missing_ok=True)
        atomic.fsync_directory(database.parent)
        failpoint("restore.alone")
        atomic.replace(fresh, database)
        failpoint("restore.replaced")
    finally:
        sweep_second_names(database.parent)
    return previous


def _free_name(database: Path) -> Path:
    moment = clock.to_rfc3339(clock.now_us()) or ""
    stamp = moment.replace("-", "").replace(":", "")
    return database.with_name(f"{database.name}{BEFORE_RESTORE}{stamp}")


def _fold(database: Path, previous: Path) -> None:
    """Bring what lies beside *database* into its file, so that the file alone is the old state.

    A file that SQLite cannot read is kept as it is: what lies beside it gets names beside *previous*.
    """
    try:
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        code = error.sqlite_errorcode & 0xFF
        if code in _UNREADABLE:
            _keep_companions(database, previous)
            return
        if code not in _IN_USE:
            raise faults.of_sqlite(error, str(database)) from error
        mode = "in use"
    if mode != "delete":
        raise Locked(f"Another program has {database} open; close it and try again.")


def _keep_companions(database: Path, previous: Path) -> None:
    for suffix in _COMPANIONS:
        if _beside(database, suffix).exists():
            _beside(previous, suffix).hardlink_to(_beside(database, suffix))


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)
