"""Inspection: what is known of a database file that nobody has open, read without changing it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from appliance.backup.archive import Facts
from appliance.errors import DamagedArchive
from appliance.store import migrations, queries
from appliance.store.migrations import Migration
from appliance.store.transaction import OpenTransaction

_HERE = Path(__file__).parent


def facts(path: Path) -> Facts:
    """Return the schema version and the rows per table of the database at *path*.

    Raises: DamagedArchive when it is no database.
    """
    with _open(path) as connection:
        return _facts(connection)


def check(path: Path) -> Facts:
    """Return the facts of the database at *path* after every page and reference was looked at.

    Raises: DamagedArchive with the first problem, DatabaseTooNew.
    """
    with _open(path) as connection:
        migrations.require_usable(_applied(connection), "The database in the archive")
        problem = connection.execute(_sql("damage")).fetchone()
        if problem is not None:
            raise DamagedArchive(f"The database in the archive is damaged: {problem[0]}.")
        return _facts(connection)


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file as it stands: no lock, no log beside it, nothing in it is trusted to run."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
    except sqlite3.DatabaseError as error:
        raise _damaged(error) from error


def _facts(connection: sqlite3.Connection) -> Facts:
    counting = connection.execute(_sql("counting")).fetchone()[0]
    counts = dict(connection.execute(counting).fetchall()) if counting else {}
    schema = max((migration.number for migration in _applied(connection)), default=0)
    return Facts(schema, counts)


def _applied(connection: sqlite3.Connection) -> list[Migration]:
    return migrations.applied(OpenTransaction(connection, queries.load("sqlite"), _damaged))


def _damaged(error: Exception) -> DamagedArchive:
    return DamagedArchive(f"The database in the archive is damaged: {error}.")


def _sql(name: str) -> str:
    return (_HERE / f"{name}.sql").read_text("utf-8")
