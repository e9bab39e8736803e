"""Two servers of one PostgreSQL in this process, each with a data directory of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from appliance.cluster.node import Node
from appliance.config import DatabaseSettings, NodeSettings, RuntimeSettings, Settings
from appliance.language.loader import load_project
from appliance.operations.appliance import Appliance
from tests.engine.test_engine import PROJECT, ledger

__all__ = ["ledger"]

Join = Callable[[str], AbstractAsyncContextManager[Appliance]]


class Pair(NamedTuple):
    """Two servers; the first one is the elder and leads."""

    first: Appliance
    second: Appliance


def node_of(appliance: Appliance) -> Node:
    """Return the membership of a server that shares its database."""
    assert isinstance(appliance.node, Node)
    return appliance.node


@pytest.fixture
def max_runs() -> int:
    """How many runs a server lets run at once."""
    return 100


@pytest.fixture
def lease() -> float:
    """How many seconds a server may be silent."""
    return 3.0


@pytest.fixture
def join(postgres_settings: DatabaseSettings, tmp_path: Path, max_runs: int, lease: float) -> Join:
    """Give a way to start one more server by its name."""

    @asynccontextmanager
    async def opened(name: str) -> AsyncIterator[Appliance]:
        (tmp_path / name).mkdir(exist_ok=True)
        settings = Settings(
            cwd=tmp_path,
            data_dir=tmp_path / name / "data",
            database=postgres_settings,
            runtime=RuntimeSettings(max_runs=max_runs),
            node=NodeSettings(name=name, lease=lease),
        )
        project = load_project(PROJECT, {})

        async with Appliance.open(
            settings, project, load=lambda found: load_project(PROJECT, {}, found)
        ) as appliance:
            yield appliance

    return opened


@pytest.fixture
async def pair(join: Join, ledger: Path) -> AsyncIterator[Pair]:
    """Two servers that know of each other."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(join("first"))
        yield Pair(first, await stack.enter_async_context(join("second")))


@pytest.fixture
def bury(postgres_settings: DatabaseSettings) -> Callable[[Appliance], None]:
    """Give a way to declare a server dead that is not."""

    def end(appliance: Appliance) -> None:
        with psycopg.connect(postgres_settings.conninfo) as connection:
            connection.execute(
                "UPDATE workflow_states SET node_id = NULL, version = version + 1"
                " WHERE node_id = %s",
                (appliance.node.node_id,),
            )
            connection.execute("DELETE FROM nodes WHERE id = %s", (appliance.node.node_id,))
            connection.execute("SELECT pg_notify('compozy', 'orphans somebody ')")

    return end
