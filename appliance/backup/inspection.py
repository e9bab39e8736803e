"""Inspection: what is known of a database file that nobody has open, read without changing it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from appliance.backup.archive import Facts
from appliance.errors import DamagedArchive
from appliance.store import queries

_HERE = Path(__file__).parent


def facts(path: Path) -> Facts:
    """Return the schema version and the rows per table of the database at *path*.

    Raises: DamagedArchive when it is no database.
    """
    with _open(path) as connection:
        return _facts(connection)


def check(path: Path) -> Facts:
    """Return the facts of the database at *path* after every page and reference was looked at.

    Raises: DamagedArchive with the first problem.
    """
    with _open(path) as connection:
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
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
    except sqlite3.DatabaseError as error:
        raise DamagedArchive(f"The database in the archive is damaged: {error}.") from error


def _facts(connection: sqlite3.Connection) -> Facts:
    counting = connection.execute(_sql("counting")).fetchone()[0]
    counts = dict(connection.execute(counting).fetchall()) if counting else {}
    return Facts(_schema(connection), counts)


def _schema(connection: sqlite3.Connection) -> int:
    statements = queries.load("sqlite")
    if connection.execute(statements["has_schema_migrations"]).fetchone() is None:
        return 0
    return max(
        (row[0] for row in connection.execute(statements["list_schema_migrations"])), default=0
    )


def _sql(name: str) -> str:
    return (_HERE / f"{name}.sql").read_text("utf-8")
