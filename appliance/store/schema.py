"""The schema of a database, changed step by step: what a migration needs of each driver."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, Conflict
from appliance.failpoint import failpoint
from appliance.store import faults, locks, queries, sqlite
from appliance.store.transaction import OpenTransaction

if TYPE_CHECKING:
    from appliance.store.postgres import Connection

LOCK_KEY = 0x636F6D706F7A79
"""The advisory lock of PostgreSQL under which one node migrates ("compozy" in ASCII)."""

LOCK_PATIENCE_S = 60.0
"""A node waits so long while another migrates. For a table it waits no longer than any server does:
whoever wants the table then waits behind it."""


class Schema(Protocol):
    """The schema of a database, under a connection of its own."""

    def atomically(self, step: Callable[[OpenTransaction], None]) -> None:
        """Run *step* in a transaction; if it fails, nothing of it is left."""
        ...

    def execute(self, script: str) -> None:
        """Execute the statements of *script* in the transaction."""
        ...

    def reserve(self, since: int) -> None:
        """Keep servers off whose programs do not know migration *since*, until this is closed.

        Raises: Locked where there are any, Unavailable.
        """
        ...


@contextmanager
def opened(settings: DatabaseSettings, *, read_only: bool = False) -> Iterator[Schema]:
    """Connect to the database for this block; on PostgreSQL wait for other nodes that migrate.

    Raises: InvalidConfiguration, StorageBroken, Unavailable.
    """
    if settings.driver == "sqlite":
        timeout_s = settings.busy_timeout
        connection = sqlite.connect(settings.path, busy_timeout_s=timeout_s, read_only=read_only)
        try:
            yield SqliteSchema(connection, settings.path, read_only=read_only)
        finally:
            connection.close()
        return
    from appliance.store import postgres

    with postgres.connect(settings, queries.load("postgres")) as server:
        schema = PostgresSchema(server)
        if not read_only:
            schema.lock()
        yield schema


class SqliteSchema:
    """The schema of a SQLite database."""

    def __init__(
        self, connection: sqlite3.Connection, path: str, *, read_only: bool = False
    ) -> None:
        self._connection = connection
        self._translate = partial(faults.of_sqlite, path=path)
        self._begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def atomically(self, step: Callable[[OpenTransaction], None]) -> None:
        """Run *step* in a transaction; foreign keys are checked at its end and not before.

        While they are on, dropping a table that is to be replaced would empty those that refer to it.
        """
        self._execute("PRAGMA foreign_keys=OFF")
        try:
            self._execute(self._begin)
            step(OpenTransaction(self._connection, queries.load("sqlite"), self._translate))
            if self._execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise Conflict("Rows refer to others that do not exist.", constraint="foreign_key")
            failpoint("migration.before_commit")
            self._execute("COMMIT")
            failpoint("migration.committed")
        finally:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._connection.execute("PRAGMA foreign_keys=ON")

    def execute(self, script: str) -> None:
        """Execute one statement after the other: `executescript` would commit before it begins."""
        for statement in statements(script):
            failpoint("migration.statement")
            self._execute(statement)

    def reserve(self, since: int) -> None:
        """Have nothing to do: who changes a file has the directory that it is in."""

    def _execute(self, statement: str) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement)
        except sqlite3.Error as error:
            raise self._translate(error) from error


class PostgresSchema:
    """The schema of a PostgreSQL database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        texts = queries.encoded(queries.load("postgres"))
        self._transaction = partial(OpenTransaction, connection, texts, self._translate)

    def lock(self) -> None:
        """Wait until no other node migrates; ends with the connection. Raises Unavailable."""
        with self._connection.transaction():
            patience = f"{LOCK_PATIENCE_S * 1000:.0f}ms"
            self._transaction().one("lock_migrations", key=LOCK_KEY, patience=patience)

    def atomically(self, step: Callable[[OpenTransaction], None]) -> None:
        """Run *step* in a transaction."""
        with self._connection.transaction():
            step(self._transaction())
            failpoint("migration.before_commit")
        failpoint("migration.committed")

    def execute(self, script: str) -> None:
        """Execute the statements at one go."""
        failpoint("migration.statement")
        try:
            self._connection.execute(script.encode(), prepare=False)
        except Exception as error:
            raise self._translate(error) from error

    def reserve(self, since: int) -> None:
        """Keep servers off that could not follow. See `Schema`."""
        locks.patiently(
            partial(self._claim, "keep_database", key=locks.DATABASE_KEY), locks.CHANGED_AS_A_WHOLE
        )
        locks.patiently(
            partial(self._claim, "exclude_programs", programs=locks.PROGRAMS_KEY, since=since),
            locks.CANNOT_FOLLOW,
        )

    def _claim(self, query: str, **params: int) -> bool:
        with self._connection.transaction():
            row = self._transaction().one(query, **params)
        return row is not None and bool(row["claimed"])

    def _translate(self, error: Exception) -> ApplianceError:
        return faults.of_postgres(error, str)


def statements(script: str) -> Iterator[str]:
    """Cut *script* into statements as SQLite itself would, so that a trigger stays in one piece."""
    statement = ""
    for piece in re.split("(?<=;)", script):
        statement += piece
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
