"""Databases, their named queries and migrations, and a repository for each aggregate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from appliance.config import DatabaseSettings
from appliance.store import queries
from appliance.store.database import Database, Transaction

if TYPE_CHECKING:
    from appliance.store.wire import Wire


def open_database(settings: DatabaseSettings) -> Database:
    """Open the database. The schema is left as it is, except in memory: that one is born migrated.

    Raises: InvalidConfiguration, StorageBroken, StorageFull, Unavailable.
    """
    statements = queries.load(settings.driver)
    if settings.driver == "postgres":
        from appliance.store.postgres import PostgresDatabase

        return PostgresDatabase(settings, statements)
    from appliance.store import migrations
    from appliance.store.sqlite import SqliteDatabase
    from appliance.store.sqlite_session import MEMORY

    prepare = migrations.prepare if settings.path == MEMORY else lambda _: None
    return SqliteDatabase(settings, statements, prepare)


def open_beside(settings: DatabaseSettings, session: int) -> Database:
    """Open PostgreSQL once more for the server that has *session*, claimed, for what must not wait.

    Raises: what `open_database` and `Database.claim` raise.
    """
    from appliance.store.postgres import PostgresDatabase

    database = PostgresDatabase(settings, queries.load(settings.driver), session)
    try:
        database.claim()
    except BaseException:
        database.close()
        raise
    return database


def open_wire(
    settings: DatabaseSettings,
    session: int,
    *,
    hear: Callable[[str], None],
    connected: Callable[[], None],
) -> Wire:
    """Open the wire between the servers of a PostgreSQL database. Nothing is raised: it goes on trying."""
    from appliance.store.postgres import Connector
    from appliance.store.wire import Wire

    statements = queries.load(settings.driver)
    connect = Connector(settings, statements).connect
    return Wire(connect, queries.encoded(statements), session, hear=hear, connected=connected)


def snapshot(settings: DatabaseSettings) -> AbstractContextManager[Transaction]:
    """Give a transaction that reads one moment of the database; servers may go on writing.

    Raises: InvalidConfiguration, StorageBroken, Unavailable.
    """
    statements = queries.load(settings.driver)
    if settings.driver == "postgres":
        from appliance.store import postgres

        return postgres.snapshot(settings, statements)
    from appliance.store import sqlite

    return sqlite.snapshot(settings, statements)
