"""Databases with a table of their own, so that the contract is tested apart from the product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.store import migrations, queries
from appliance.store.database import Database
from appliance.store.sqlite import SqliteDatabase
from appliance.store.sqlite_session import MEMORY

_SQL = """
-- name: create_notes (sqlite)
-- The table of these tests.
CREATE TABLE notes (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    folder TEXT,
    parent INTEGER REFERENCES notes (id),
    size INTEGER NOT NULL CHECK (size >= 0),
    UNIQUE (folder, name)
) STRICT

-- name: create_notes (postgres)
-- The table of these tests.
CREATE TABLE notes (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    folder TEXT,
    parent BIGINT REFERENCES notes (id),
    size BIGINT NOT NULL CHECK (size >= 0),
    UNIQUE (folder, name)
)

-- name: add_note
-- Adds a note.
INSERT INTO notes (id, name, folder, parent, size) VALUES (:id, :name, :folder, :parent, :size)

-- name: resize_note
-- Changes a note.
UPDATE notes SET size = size + :by WHERE id = :id

-- name: get_note
-- One note.
SELECT id, name, folder, parent, size FROM notes WHERE id = :id

-- name: list_notes
-- All notes, with a text that a driver could take for parameters.
SELECT id, name, '100 %% :name' AS odd FROM notes ORDER BY id

-- name: count_notes
-- How many there are.
SELECT count(*) AS count FROM notes

-- name: get_setting (postgres only)
-- What the server will do for this connection.
SELECT current_setting(:name) AS value

-- name: end_connection (postgres only)
-- Loses the connection.
SELECT pg_terminate_backend(pg_backend_pid())
"""


def open_notes(settings: DatabaseSettings) -> Database:
    """Open a database with the queries above beside those of the program."""
    own = queries.compiled(queries.parse(_SQL, "conftest"), settings.driver)
    statements = {**queries.load(settings.driver), **own}
    if settings.driver == "postgres":
        from appliance.store.postgres import PostgresDatabase

        return PostgresDatabase(settings, statements)
    prepare = migrations.prepare if settings.path == MEMORY else lambda _: None
    return SqliteDatabase(settings, statements, prepare)


def note(number: int, **changes: Any) -> dict[str, Any]:
    """Return the parameters of `add_note`."""
    row = {"id": number, "name": f"note {number}", "folder": None, "parent": None, "size": 0}
    return row | changes


@pytest.fixture
def notes(database_settings: DatabaseSettings) -> Iterator[Database]:
    """A database with an empty table `notes`; one after the other of each kind."""
    database = open_notes(database_settings)
    database.write(lambda tx: tx.run("create_notes")).result()
    yield database
    database.close()


@pytest.fixture
def sqlite_notes(sqlite_settings: DatabaseSettings) -> Iterator[Database]:
    """A SQLite file with an empty table `notes`."""
    database = open_notes(sqlite_settings)
    database.write(lambda tx: tx.run("create_notes")).result()
    yield database
    database.close()


@pytest.fixture
def postgres_notes(postgres_settings: DatabaseSettings) -> Iterator[Database]:
    """A PostgreSQL database with an empty table `notes`."""
    database = open_notes(postgres_settings)
    database.write(lambda tx: tx.run("create_notes")).result()
    yield database
    database.close()
