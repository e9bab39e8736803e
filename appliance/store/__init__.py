"""Databases, their named queries and migrations, and a repository for each aggregate."""

from __future__ import annotations

from contextlib import AbstractContextManager

from appliance.config import DatabaseSettings
from appliance.store import queries
from appliance.store.database import Database, Transaction


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
