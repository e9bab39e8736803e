"""A server whose runs others have taken over: what it still wanted to store is nobody's any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance.config import DatabaseSettings
from appliance.engine.journal import Journal
from appliance.errors import ApplianceError, Conflict, Fenced, Unavailable
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from appliance.operations.nodes import list_nodes
from appliance.operations.users import create_user
from tests.engine.test_durable_commands import begun, send, start, status, until

from .conftest import Pair, node_of
from .test_nodes import eventually, finish_at

pytestmark = pytest.mark.anyio

Bury = Callable[[Appliance], None]


def journal_of(appliance: Appliance) -> Journal:
    return appliance.engine._driver._journal


@asynccontextmanager
async def under_way(
    appliance: Appliance, count: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Future[Any]]:
    """Keep what this block wants to store in one transaction of *count* runs that does not end.

    The database is asked nothing; the future that is given is its answer.
    """
    journal, answer = journal_of(appliance), Future[Any]()
    journal._under_way = 1
    with monkeypatch.context() as patched:
        patched.setattr(journal._database, "write", lambda _: answer)
        yield answer
        await eventually(lambda: len(journal._pending) == count)
        journal._under_way = 0
        journal._flush()


@pytest.mark.parametrize("error", [Conflict("It exists already."), Unavailable(), Fenced()])
async def test_what_was_under_way_is_not_stored_later(
    pair: Pair, bury: Bury, ledger: Path, monkeypatch: pytest.MonkeyPatch, error: ApplianceError
) -> None:
    """Whatever the database says: under its new name a server repeats nothing of the former one.

    A run that it had begun would be stored as that of a node that is gone, where nobody looks.
    """
    first, second = pair
    former = second.node.node_id
    old = await start(second, "approval", question="now?")
    await until(second, old, "WAITING")
    async with under_way(second, 2, monkeypatch) as answer:
        pausing = asyncio.create_task(second.engine.pause(old))
        starting = asyncio.create_task(start(second, "slow", seconds=0))
    bury(second)
    node_of(second).fenced(former)
    await eventually(lambda: second.node.node_id not in (None, former))
    await eventually(lambda: old in first.engine._driver.live)
    joined = second.node.node_id
    answer.set_exception(error)
    for asked in (pausing, starting):
        with pytest.raises(Fenced):
            await asked
    assert journal_of(second).idle
    assert joined == second.node.node_id, "an old refusal is no news of the new membership"
    assert await send(first, old, {"by": "Ada", "yes": True})
    assert await first.engine.wait(old, 30)
    assert ["1 1", "3 1", "4 1"] == begun(ledger)


async def test_who_is_cut_off_takes_nothing(
    pair: Pair, bury: Bury, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is a member again it begins no run and takes none up; then it does."""
    former, failed = pair.second.node.node_id, []

    async def fail() -> None:
        failed.append("once more")
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(node_of(pair.second), "_join", fail)
        bury(pair.second)
        node_of(pair.second).fenced(former)
        await eventually(lambda: failed)
        with pytest.raises(Fenced):
            await start(pair.second, "slow", seconds=0)
    await eventually(lambda: pair.second.node.node_id)
    assert "SUCCESS" == await status(pair.second, await finish_at(pair.second))


async def test_what_a_paused_server_holds_keeps_nobody(
    pair: Pair, postgres_settings: DatabaseSettings
) -> None:
    """Others wait to write what it was writing; when its lease is over it is ended, and they go on."""
    first, second = pair
    node, former = node_of(second), second.node.node_id
    node._work.cancel()
    paused = psycopg.connect(
        postgres_settings.conninfo, application_name=f"compozy-{node._db.session}"
    )
    with closing(paused):
        paused.execute(b"LOCK TABLE users IN EXCLUSIVE MODE")
        creating = asyncio.create_task(create_user(first.identity, SYSTEM, email="ada@example.org"))
        await asyncio.sleep(0.5)
        assert not creating.done()
        async with asyncio.timeout(4):
            while former in {each["id"] for each in await list_nodes(first, SYSTEM)}:
                await asyncio.sleep(0.05)
            assert "ada@example.org" == (await creating).email
