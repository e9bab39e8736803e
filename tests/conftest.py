"""What every test gets: a clean environment, and fresh databases of each kind."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from appliance.store.database import Database
from tests.postgres_server import PostgresServer

_PRODUCT = ("COMPOZY_", "SERVER_", "DATABASE_", "DB_", "RUNTIME_", "TOOL_", "PG")
_TEMPLATE = "migrated"

for _name in [name for name in os.environ if name.startswith(_PRODUCT)]:
    del os.environ[_name]  # what the developer has set must not decide what a test sees

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test process. When it cannot be had, that is a failure."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def _template(postgres_server: PostgresServer) -> PostgresServer:
    from appliance.store import migrations

    postgres_server.execute(f"CREATE DATABASE {_TEMPLATE}")
    migrations.up(_postgres(postgres_server, _TEMPLATE))
    return postgres_server


@pytest.fixture
def empty_postgres(postgres_server: PostgresServer) -> Iterator[DatabaseSettings]:
    """An empty PostgreSQL database."""
    yield from _database(postgres_server, "template0")


@pytest.fixture
def postgres_settings(_template: PostgresServer) -> Iterator[DatabaseSettings]:
    """A migrated PostgreSQL database."""
    yield from _database(_template, _TEMPLATE)


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> DatabaseSettings:
    """A migrated SQLite file."""
    from appliance.store import migrations

    settings = DatabaseSettings(driver="sqlite", path=str(tmp_path / "app.db"))
    migrations.up(settings)
    return settings


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def database_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """A migrated database, one after the other of each kind."""
    if request.param == "memory":
        return DatabaseSettings(driver="sqlite", path=":memory:")
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


@pytest.fixture
def db(database_settings: DatabaseSettings) -> Iterator[Database]:
    """A migrated database, open; one after the other of each kind."""
    from appliance.store import open_database

    database = open_database(database_settings)
    yield database
    database.close()


def _postgres(server: PostgresServer, name: str) -> DatabaseSettings:
    return DatabaseSettings(driver="postgres", conninfo=server.conninfo(name), max_open_conns=4)


def _database(server: PostgresServer, template: str) -> Iterator[DatabaseSettings]:
    name = f"test_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _postgres(server, name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")
