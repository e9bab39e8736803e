"""Servers that share a PostgreSQL database: runs, lines, schedules and definitions are one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from appliance.config import DatabaseSettings
from appliance.engine.driver import EVERY_RUN
from appliance.engine.history import RunEvent
from appliance.errors import Conflict, Fenced, NotFound
from appliance.operations import resources, schedules, watching
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from appliance.operations.nodes import list_nodes
from tests.engine.test_durable_commands import begun, send, start, status, until
from tests.engine.test_engine import opened

from .conftest import Join, Pair, node_of

pytestmark = pytest.mark.anyio


async def eventually(met: Callable[[], object]) -> None:
    """Wait until something is so; ten seconds are more than enough."""
    for _ in range(1000):
        if met():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def names(appliance: Appliance) -> list[tuple[object, object]]:
    return [(node["name"], node["leads"]) for node in await list_nodes(appliance, SYSTEM)]


# -- who is there ----------------------------------------------------------------------------------


async def test_members_know_each_other(pair: Pair) -> None:
    """Each lists both with their version and a lease that is not over; the elder one leads."""
    assert [("first", True), ("second", False)] == await names(pair.first)
    assert 2 == pair.second.node.size
    assert await names(pair.first) == await names(pair.second)
    assert (True, False) == (pair.first.node.leads, pair.second.node.leads)
    for node in await list_nodes(pair.second, SYSTEM):
        assert isinstance(node["lease_left"], float)
        assert 0 < node["lease_left"] <= 3


async def test_a_server_on_sqlite_is_alone(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """It lists itself, without a lease."""
    async with opened(sqlite_settings, tmp_path) as appliance:
        [node] = await list_nodes(appliance, SYSTEM)
        assert (True, None, None) == (node["leads"], node["lease_age"], node["lease_left"])


async def test_who_leaves_gives_everything_back_at_once(join: Join, ledger: Path) -> None:
    """A run that waits and one whose tool is at work go on at the other; the lead goes over."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(join("first"))
        async with join("second") as second:
            waiting = await start(second, "approval", question="now?")
            await until(second, waiting, "WAITING")
            leaving = asyncio.get_running_loop().time()
        await eventually(lambda: waiting in first.engine._driver.live)
        assert asyncio.get_running_loop().time() - leaving < 2  # no lease was waited for
        assert await send(first, waiting, {"by": "Ada", "yes": True})
        assert await first.engine.wait(waiting, 30)
        assert [("first", True)] == await names(first)
    assert ["1 1", "3 1", "4 1"] == begun(ledger)


async def test_the_lead_goes_over(join: Join) -> None:
    """The next elder takes it as soon as the first one has left."""
    async with AsyncExitStack() as stack:
        async with join("first"):
            second = await stack.enter_async_context(join("second"))
            assert not second.node.leads
        await eventually(lambda: second.node.leads)


# -- commands --------------------------------------------------------------------------------------


async def test_commands_reach_a_run_wherever_it_is(pair: Pair, ledger: Path) -> None:
    """What is asked of one server is done by the one that holds the run, and its refusals come back."""
    first, second = pair
    exec_id = await start(first, "approval", question="now?")
    await until(first, exec_id, "WAITING")
    await second.engine.pause(exec_id)
    assert "PAUSED" == await status(first, exec_id)
    await second.engine.resume(exec_id)
    with pytest.raises(Conflict, match="is not paused"):
        await second.engine.resume(exec_id)
    assert await send(second, exec_id, {"by": "Ada", "yes": True})
    assert await second.engine.wait(exec_id, 30)
    assert ["1 1", "3 1", "4 1"] == begun(ledger)
    with pytest.raises(Conflict, match="has ended already"):
        await second.engine.cancel(exec_id)
    with pytest.raises(NotFound):
        await second.engine.cancel("nothing")


async def test_a_run_that_failed_is_retried_by_who_is_asked(pair: Pair, tmp_path: Path) -> None:
    """It has ended, so nobody holds it."""
    file = tmp_path / "there"
    exec_id = await start(pair.first, "stubborn", file=str(file))
    assert await pair.second.engine.wait(exec_id, 30)
    assert "FAILED" == await status(pair.second, exec_id)
    file.touch()
    await pair.second.engine.retry(exec_id)
    assert await pair.first.engine.wait(exec_id, 30)
    assert "SUCCESS" == await status(pair.first, exec_id)


async def test_a_paused_run_without_a_node_is_taken_by_who_is_asked(join: Join) -> None:
    """It was paused when its server left; it goes on where it is resumed."""
    async with join("first") as first:
        async with join("second") as second:
            exec_id = await start(second, "approval", question="now?")
            await until(second, exec_id, "WAITING")
            await second.engine.pause(exec_id)
        await asyncio.sleep(0.2)
        assert not first.engine.active
        await first.engine.resume(exec_id)
        assert await send(first, exec_id, {"by": "Ada", "yes": True})
        assert await first.engine.wait(exec_id, 30)


# -- watching --------------------------------------------------------------------------------------


async def test_a_run_can_be_watched_from_anywhere(pair: Pair) -> None:
    """Its events come in order, each once, without asking the database over and over."""
    first, second = pair
    exec_id = await start(first, "approval", question="now?")
    await until(first, exec_id, "WAITING")

    async def watched() -> list[int]:
        events: AsyncIterator[RunEvent] = watching.watch_execution(second, exec_id)
        return [event.number async for event in events]

    watcher = asyncio.create_task(watched())
    await asyncio.sleep(0.2)
    assert await send(first, exec_id, {"by": "Ada", "yes": True})
    numbers = await asyncio.wait_for(watcher, 30)
    assert list(range(1, len(numbers) + 1)) == numbers


async def test_all_runs_can_be_watched_from_anywhere(pair: Pair) -> None:
    """What happens at any server is told in the order of each run, each event once."""
    first, second = pair
    ring = watching.Ring(second.engine.feed)
    second.engine.watch_all(ring)
    await eventually(lambda: EVERY_RUN in first.engine._driver.wanted)
    runs = [await start(server, "twelve", names=["Ada"], pause=0) for server in (*pair, *pair)]
    for exec_id in runs:
        assert await first.engine.wait(exec_id, 30)
    told: dict[str, list[int]] = {exec_id: [] for exec_id in runs}
    whole = {exec_id: len((await watching.past_of(first, exec_id)).events) for exec_id in runs}
    await eventually(lambda: ring.newest == sum(whole.values()))
    for event in ring._kept:
        told[event.exec_id].append(event.number)
    assert told == {exec_id: list(range(1, count + 1)) for exec_id, count in whole.items()}


# -- the line --------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_runs", [1])
async def test_the_line_is_shared(pair: Pair, ledger: Path) -> None:
    """Where one server has no room another one takes what is in line, in the order it came."""
    runs = [await start(pair.first, "slow", seconds=0.3) for _ in range(6)]
    ended = [asyncio.create_task(pair.first.engine.wait(run, 30)) for run in runs]
    assert all(await asyncio.gather(*ended))
    assert pair.first.engine.counts["SUCCESS"]
    assert pair.second.engine.counts["SUCCESS"]
    order = [line.split()[0][:36] for line in ledger.read_text().splitlines() if " begin " in line]
    assert set(runs[:2]) == set(order[:2])
    assert sorted(runs) == sorted(order)


async def test_a_bound_of_a_workflow_is_that_of_all_servers(pair: Pair, ledger: Path) -> None:
    """`max_concurrent: 1` runs one at a time, whoever was asked."""
    runs = [await start(pair[number % 2], "single", seconds=0.1) for number in range(6)]
    for run in runs:
        assert await pair.first.engine.wait(run, 30)
    words = [line.split()[2] for line in ledger.read_text().splitlines()]
    assert ["begin", "end"] * 6 == words


# -- what is changed on one server -----------------------------------------------------------------


async def test_a_definition_is_known_everywhere(pair: Pair) -> None:
    """What came in through one server can be run at another at once."""
    body = json.dumps({"id": "fresh", "tasks": [{"id": "only", "tool": "echo"}]})
    await resources.put_resource(pair.first, SYSTEM, "workflows", "fresh", body)
    await eventually(lambda: "fresh" in pair.second.engine.programs)
    exec_id = await start(pair.second, "fresh")
    assert await pair.first.engine.wait(exec_id, 30)
    await resources.delete_resource(pair.second, SYSTEM, "workflows", "fresh")
    await eventually(lambda: "fresh" not in pair.first.engine.programs)


async def test_a_schedule_runs_at_who_leads(pair: Pair) -> None:
    """A change through another server counts there at once, and each tick starts once."""
    body = json.dumps(
        {
            "id": "pulse",
            "schedule": {"cron": "@every 1s", "enabled": False},
            "tasks": [{"id": "beat", "tool": "echo"}],
        }
    )
    await resources.put_resource(pair.second, SYSTEM, "workflows", "pulse", body)
    await eventually(lambda: "pulse" in pair.first.scheduler.plans)
    await schedules.change_schedule(pair.second, SYSTEM, "pulse", enabled=True)
    await asyncio.sleep(3.5)
    await schedules.change_schedule(pair.second, SYSTEM, "pulse", enabled=False)
    assert pair.first.engine.counts["STARTED"] in (3, 4)
    assert 0 == pair.second.engine.counts["STARTED"]
    entries = (await schedules.list_ticks(pair.second, "pulse")).items
    assert len(entries) == pair.first.engine.counts["STARTED"]


# -- fencing ---------------------------------------------------------------------------------------


async def test_what_a_dead_node_still_says_is_refused(
    pair: Pair, bury: Callable[[Appliance], None], ledger: Path
) -> None:
    """It learns of it, lets go of everything, and is a member again under another name."""
    first, second = pair
    former = second.node.node_id
    exec_id = await start(second, "slow", seconds=1.0)
    await eventually(lambda: begun(ledger))
    bury(second)
    with pytest.raises(Fenced):
        await start(second, "slow", seconds=0)
    await eventually(lambda: second.node.node_id not in (None, former))
    assert await first.engine.wait(exec_id, 30)
    run = await first.engine.read(exec_id)
    assert "SUCCESS" == run.status
    assert run.tasks[0].attempt == 2, "the call of the dead node was taken for good"
    assert "SUCCESS" == (await first.engine.read(await finish_at(second))).status


async def finish_at(appliance: Appliance) -> str:
    exec_id = await start(appliance, "slow", seconds=0)
    assert await appliance.engine.wait(exec_id, 30)
    return exec_id


async def test_a_node_that_is_silent_is_declared_dead(pair: Pair) -> None:
    """Its runs go on at another as soon as its lease is over, and it hears of it."""
    first, second = pair
    former = second.node.node_id
    exec_id = await start(second, "approval", question="now?")
    await until(second, exec_id, "WAITING")
    node_of(second)._work.cancel()  # it renews nothing any more
    await asyncio.sleep(3.5)
    assert exec_id in first.engine._driver.live
    assert second.node.node_id not in (None, former)
    assert exec_id not in second.engine._driver.live
    assert await send(second, exec_id, {"by": "Ada", "yes": True})
    assert await first.engine.wait(exec_id, 30)


async def test_the_clock_of_the_database_is_put_back(
    pair: Pair, postgres_settings: DatabaseSettings
) -> None:
    """A lease from the future keeps nobody waiting for it, and costs no node that lives its place."""
    first, second = pair
    alive, dead = first.node.node_id, second.node.node_id
    node_of(second)._work.cancel()
    with psycopg.connect(postgres_settings.conninfo) as connection:
        hour = 3_600_000_000
        query = b"UPDATE nodes SET renewed_at = renewed_at + %s, lease_until = lease_until + %s"
        connection.execute(query, (hour, hour))
    for _ in range(2):
        await node_of(first)._tick()
    assert dead not in {node["id"] for node in await list_nodes(first, SYSTEM)}
    assert alive == first.node.node_id


@pytest.mark.parametrize("lease", [600.0])
async def test_who_was_killed_takes_up_its_own_at_once(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is gone, and it is started again in its home: no lease is waited for."""
    async with join("second") as second:
        exec_id = await start(second, "approval", question="now?")
        await until(second, exec_id, "WAITING")
        monkeypatch.setattr(node_of(second), "node_id", None)  # so that it says nothing at its end
    began = asyncio.get_running_loop().time()
    async with join("second") as again:
        await eventually(lambda: exec_id in again.engine._driver.live)
        assert [("second", True)] == await names(again)
    assert asyncio.get_running_loop().time() - began < 60


async def test_a_home_that_was_copied_buries_nobody(join: Join) -> None:
    """Cards are cloned with the names of their machines: who is connected lives."""
    async with join("first") as first:
        node_id = first.node.node_id
        first_home = node_of(first)._home
        async with join("second") as second:
            node_of(second)._home = first_home
            await node_of(second)._tick()
            assert 2 == second.node.size
        assert first.node.node_id == node_id


async def test_a_node_that_began_nothing_new_calls_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, ledger: Path
) -> None:
    """One that cannot be sure of its lease waits with its calls until it is renewed."""
    node = node_of(pair.second)
    monkeypatch.setattr(node, "_sure_until", 0.0)
    node._work.cancel()
    exec_id = await start(pair.second, "slow", seconds=0)
    await asyncio.sleep(0.5)
    assert [] == begun(ledger)
    node._work.begin(node._live())
    assert await pair.second.engine.wait(exec_id, 30)
    assert ["1 1"] == begun(ledger)
