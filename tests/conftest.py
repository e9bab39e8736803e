"""What every test gets: a clean environment, and fresh databases of each kind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from appliance.store.database import Database
from tests.postgres_server import PostgresServer
from tests.reliability.verdict import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]  # only the conftest of the whole is asked for its summary

_PRODUCT = (
    "COMPOZY_",
    "SERVER_",
    "DATABASE_",
    "DB_",
    "RUNTIME_",
    "TOOL_",
    "RATELIMIT_",
    "STREAM_",
    "NODE_",
    "PG",
)
_TEMPLATE = "migrated"

for _name in [name for name in os.environ if name.startswith(_PRODUCT)]:
    del os.environ[_name]  # what the developer has set must not decide what a test sees


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test process. When it cannot be had, that is a failure."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """The name of a migrated database that others are copied from; nobody connects to it."""
    from appliance.store import migrations

    postgres_server.execute(f"CREATE DATABASE {_TEMPLATE}")
    migrations.up(_settings(postgres_server.conninfo(_TEMPLATE)))
    return _TEMPLATE


@pytest.fixture
def empty_postgres(postgres_server: PostgresServer) -> Iterator[DatabaseSettings]:
    """An empty PostgreSQL database."""
    with postgres_server.database("template0") as conninfo:
        yield _settings(conninfo)


@pytest.fixture
def postgres_settings(
    postgres_server: PostgresServer, migrated_postgres: str
) -> Iterator[DatabaseSettings]:
    """A migrated PostgreSQL database."""
    with postgres_server.database(migrated_postgres) as conninfo:
        yield _settings(conninfo)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that others are copied from; nobody opens it."""
    from appliance.store import migrations

    path = tmp_path_factory.mktemp(_TEMPLATE) / "app.db"
    migrations.up(DatabaseSettings(driver="sqlite", path=str(path)))
    return path


@pytest.fixture
def sqlite_settings(tmp_path: Path, migrated_sqlite: Path) -> DatabaseSettings:
    """A migrated SQLite file."""
    path = shutil.copy(migrated_sqlite, tmp_path / "app.db")
    return DatabaseSettings(driver="sqlite", path=str(path))


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


def _settings(conninfo: str) -> DatabaseSettings:
    return DatabaseSettings(driver="postgres", conninfo=conninfo, max_open_conns=4)
