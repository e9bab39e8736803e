"""Two servers for the whole session, each with a database of another kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer
from tests.reliability.serving import Server

from .twins import Twins, twins


@pytest.fixture(scope="session")
def both(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    migrated_postgres: str,
) -> Iterator[Twins]:
    """The servers, which are shared by all tests that leave nothing behind in them."""
    home = tmp_path_factory.mktemp("twins")
    with postgres_server.database(migrated_postgres) as conninfo, twins(home, conninfo) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, both: Twins) -> Server:
    """One of the two after the other."""
    return both.servers[request.param]
