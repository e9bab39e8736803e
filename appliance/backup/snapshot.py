"""Snapshots: an archive of a database in use. Writers go on; everything acknowledged before is in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from appliance import __version__, atomic, clock
from appliance.backup import archive, inspection, verification
from appliance.backup.archive import DATABASE, Origin
from appliance.errors import NotFound, NotSupported
from appliance.failpoint import failpoint
from appliance.store.database import Database
from appliance.store.datadir import DataDirectory
from appliance.store.sqlite import SqliteDatabase

NAME = re.compile(r"compozy-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{8}\.zip", re.ASCII)


class Backup(msgspec.Struct, frozen=True):
    """An archive in the data directory: its name, its size in bytes, when it was made (RFC 3339)."""

    name: str
    size: int
    created_at: str


def create(db: Database, data: DataDirectory) -> Backup:
    """Make an archive of *db* and verify it. It has its name only once it is good and on disk.

    Blocks for as long as it takes. Raises: NotSupported, DamagedArchive, StorageFull, StorageBroken.
    """
    database = _supported(db)
    directory = data.prepare_backups()
    moment = clock.to_rfc3339(clock.now_us()) or ""
    path = directory / _name(moment)
    with atomic.scratch(directory / DATABASE) as copy, atomic.create(path) as file:
        database.snapshot(Path(copy.name)).result()
        failpoint("backup.copied")
        facts = inspection.facts(Path(copy.name))
        archive.write(file, copy, facts, Origin(__version__, db.driver, moment))
        failpoint("backup.packed")
        copy.truncate(0)  # room for the trial restore, so that the peak is one database, not two
        verification.verify(file, directory)
        failpoint("backup.verified")
    failpoint("backup.named")
    return describe(path)


def find(data: DataDirectory, name: str) -> Path:
    """Return where the archive *name* is. Only names that we give are looked for.

    Raises: NotFound.
    """
    path = data.backups_path / name
    if NAME.fullmatch(name) is None or not path.is_file() or path.is_symlink():
        raise NotFound(f"There is no backup {name!r}.")
    return path


def list_all(data: DataDirectory) -> list[Backup]:
    """Return every archive in the data directory, newest first."""
    if not data.backups_path.is_dir():
        return []
    paths = [path for path in data.backups_path.iterdir() if NAME.fullmatch(path.name)]
    return [describe(path) for path in sorted(paths, reverse=True)]


def describe(path: Path) -> Backup:
    """Return what the name and the size of the archive at *path* say."""
    match = NAME.fullmatch(path.name)
    assert match is not None
    year, month, day, hour, minute, second = match.groups()
    created_at = f"{year}-{month}-{day}T{hour}:{minute}:{second}Z"
    return Backup(path.name, path.stat().st_size, created_at)


def _supported(db: Database) -> SqliteDatabase:
    if not isinstance(db, SqliteDatabase):
        raise NotSupported(
            "Backups of PostgreSQL are made with its own tool: "
            "pg_dump --format=custom --file=compozy.dump <url of the database>."
        )
    return db


def _name(moment: str) -> str:
    stamp = moment[:19].replace("-", "").replace(":", "")
    return f"compozy-{stamp}Z-{os.urandom(4).hex()}.zip"
