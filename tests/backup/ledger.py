"""A database with numbered rows, so that a test can say which of them must be there."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

from appliance.backup import snapshot
from appliance.config import DatabaseSettings
from appliance.operations import audit
from appliance.operations.actors import SYSTEM
from appliance.store import migrations, open_database
from appliance.store.database import Database
from appliance.store.datadir import DataDirectory


def settings(directory: Path) -> DatabaseSettings:
    """The usual database of a data directory."""
    return DatabaseSettings(driver="sqlite", path=str(directory / "app.db"))


def data_directory(path: Path) -> DataDirectory:
    """A data directory that is ready."""
    data = DataDirectory(path)
    data.prepare()
    return data


def make(directory: Path, amount: int) -> Database:
    """An open, migrated database in *directory* with rows 0 .. amount-1."""
    migrations.up(settings(directory))
    db = open_database(settings(directory))
    for number in range(amount):
        add(db, number)
    return db


def archived(directory: Path, amount: int) -> Path:
    """A backup of a database with rows 0 .. amount-1, in the data directory *directory*."""
    data = data_directory(directory)
    db = make(data.path, amount)
    path = data.backups_path / snapshot.create(db, data).name
    db.close()
    return path


def killed(home: Path, amount: int) -> DataDirectory:
    """`home/data` as a killed server leaves it, with rows 0 .. amount-1 in its log alone."""
    live, dead = data_directory(home / "live"), data_directory(home / "data")
    db = make(live.path, amount)
    for file in live.path.glob("app.db*"):
        shutil.copy(file, dead.path)
    db.close()
    assert (dead.path / "app.db-wal").stat().st_size > 0
    return dead


def add(db: Database, number: int) -> None:
    """Add a row; it is durable when this returns."""
    db.write(lambda tx: audit.record(tx, SYSTEM, "test", str(number))).result()


def rows(path: Path) -> list[int]:
    """The numbers in the database file at *path*, with whatever log lies beside it."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            int(row[0]) for row in connection.execute("SELECT subject FROM audit_log ORDER BY id")
        ]


def rows_in_archive(path: Path, scratch: Path) -> list[int]:
    """The numbers in an archive, taken out by a plain zip program."""
    with zipfile.ZipFile(path) as archive:
        return rows(Path(archive.extract("app.db", scratch)))


def fingerprint(directory: Path) -> dict[str, str]:
    """Every file below *directory* with the hash of its content, the lock file apart."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "instance.lock"
    }
