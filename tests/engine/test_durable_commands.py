"""Waits, commands, lines and calls on real databases with real tool processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import Conflict, NotFound
from appliance.operations.appliance import Appliance

from .test_engine import finish, ledger, opened

__all__ = ["ledger"]
pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres"])
def database_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """Databases that outlive a server."""
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


async def start(appliance: Appliance, workflow: str, **run_input: Any) -> str:
    return await appliance.engine.start(appliance.engine.program(workflow), run_input)


async def status(appliance: Appliance, exec_id: str) -> str:
    return (await appliance.engine.read(exec_id)).status


async def until(appliance: Appliance, exec_id: str, wanted: str) -> None:
    """Wait until a run is in a state; a minute is more than enough."""
    for _ in range(6000):
        if await status(appliance, exec_id) == wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"the run is {await status(appliance, exec_id)}, not {wanted}")


async def send(appliance: Appliance, exec_id: str, payload: Any, signal_id: str = "1") -> bool:
    return await appliance.engine.signal(
        exec_id, "answered", payload, signal_id=signal_id, source="test"
    )


def begun(ledger: Path) -> list[str]:
    """Return the task of every call that was begun, as `<number in the run> <attempt>`."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [f"{line.split()[0][37:]} {line.split()[1]}" for line in lines if " begin " in line]


async def test_a_wait_survives_a_restart(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """The run waits on the database; the signal that comes to the next server ends it."""
    async with opened(database_settings, tmp_path) as appliance:
        exec_id = await start(appliance, "approval", question="now?")
        await until(appliance, exec_id, "WAITING")
        assert await send(appliance, exec_id, {"by": ""})
        await until(appliance, exec_id, "WAITING")
    async with opened(database_settings, tmp_path) as appliance:
        assert "WAITING" == await status(appliance, exec_id)
        assert await send(appliance, exec_id, {"by": "Ada", "yes": True}, "2")
        assert await appliance.engine.wait(exec_id, 30)
        run = await appliance.engine.read(exec_id)
        assert {"by": "Ada", "yes": True} == run.output
        with pytest.raises(Conflict):
            await send(appliance, exec_id, {"by": "Grace"}, "3")
    assert ["1 1", "3 1", "4 1", "5 1"] == begun(ledger)


async def test_pause_and_resume_survive_a_restart(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """A paused run is quiet in the next server too, and goes on when it is told to."""
    async with opened(database_settings, tmp_path) as appliance:
        exec_id = await start(appliance, "approval", question="now?")
        await until(appliance, exec_id, "WAITING")
        await appliance.engine.pause(exec_id)
        await appliance.engine.pause(exec_id)
    async with opened(database_settings, tmp_path) as appliance:
        assert ("PAUSED", 0) == (await status(appliance, exec_id), appliance.engine.active)
        await send(appliance, exec_id, {"by": "Ada", "yes": False})
        assert "PAUSED" == await status(appliance, exec_id)
        await appliance.engine.resume(exec_id)
        assert await appliance.engine.wait(exec_id, 30)
        assert "SUCCESS" == await status(appliance, exec_id)
        with pytest.raises(Conflict):
            await appliance.engine.resume(exec_id)


async def test_retry_goes_on_in_the_next_server(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """What failed begins again with the same id; what succeeded is not done again."""
    file = tmp_path / "there"
    async with opened(database_settings, tmp_path) as appliance:
        state = await finish(appliance, "stubborn", {"file": str(file)})
        assert "FAILED" == state["status"]
    file.touch()
    async with opened(database_settings, tmp_path) as appliance:
        exec_id = state["workflow_exec_id"]
        await appliance.engine.retry(exec_id)
        assert await appliance.engine.wait(exec_id, 30)
        assert "SUCCESS" == await status(appliance, exec_id)
        with pytest.raises(Conflict):
            await appliance.engine.retry(exec_id)
        with pytest.raises(NotFound):
            await appliance.engine.retry("nothing")
    assert ["1 1", "2 1", "2 2"] == begun(ledger)


async def test_runs_stand_in_line(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """`max_concurrent: 1` runs one at a time, first come first served, and lines survive a restart."""
    async with opened(database_settings, tmp_path) as appliance:
        runs = [await start(appliance, "single", seconds=0.1) for _ in range(5)]
        assert ["PENDING"] * 4 == [await status(appliance, run) for run in runs[1:]]
        await appliance.engine.cancel(runs[2])
        await until(appliance, runs[0], "SUCCESS")
    async with opened(database_settings, tmp_path) as appliance:
        for run in runs:
            assert await appliance.engine.wait(run, 30)
        ends = [await appliance.engine.read(run) for run in runs]
    wanted = ["SUCCESS", "SUCCESS", "CANCELED", "SUCCESS", "SUCCESS"]
    assert wanted == [end.status for end in ends]
    lines = [line.split() for line in ledger.read_text().splitlines()]
    order = [line[0][:36] for line in lines if line[2] == "end"]
    assert [runs[0], runs[1], runs[3], runs[4]] == order
    overlaps = [one[2] for one in lines if one[1] == "1"]
    assert "begin begin" not in " ".join(overlaps), "two ran at once"


async def test_a_task_calls_a_workflow(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """The child is a run of its own; its output, or its failure, is that of the call."""
    async with opened(database_settings, tmp_path) as appliance:
        done = await finish(appliance, "parent", {"seconds": 0, "fail": ""})
        assert {"work": {"output": {"done": "true"}}} == done["output"]["child"]
        failed = await finish(appliance, "parent", {"seconds": 0, "fail": "yes"})
        assert "CHILD_FAILED" == failed["error"]["code"]
        assert "asked to" in failed["error"]["message"]


async def test_a_call_that_was_cut_off_waits_for_the_same_run(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """After a restart the child goes on, and its parent waits for it instead of starting another."""
    async with opened(database_settings, tmp_path) as appliance:
        parent = await start(appliance, "parent", seconds=1.0, fail="")
        while not begun(ledger):
            await asyncio.sleep(0.01)
        child = await appliance.engine.started_under(f"call:{parent}.1:0")
    async with opened(database_settings, tmp_path) as appliance:
        assert await appliance.engine.wait(parent, 30)
        run = await appliance.engine.read(parent)
        assert ("SUCCESS", child) == (run.status, run.tasks[0].output["exec_id"])


async def test_canceling_a_parent_cancels_its_child(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """Nothing goes on that nobody waits for."""
    async with opened(database_settings, tmp_path) as appliance:
        parent = await start(appliance, "parent", seconds=30, fail="")
        while not begun(ledger):
            await asyncio.sleep(0.01)
        child = await appliance.engine.started_under(f"call:{parent}.1:0")
        await appliance.engine.cancel(parent)
        assert child is not None
        assert await appliance.engine.wait(child, 10)
        assert "CANCELED" == await status(appliance, child)


async def test_a_signal_task_starts_whoever_listens(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """Each listener is started once, and the sender is told which runs that are."""
    async with opened(database_settings, tmp_path) as appliance:
        sent = await finish(appliance, "sender")
        output = sent["tasks"]["send"]["output"]
        assert True is output["signal_dispatched"]
        (exec_id,) = output["executions"]
        assert await appliance.engine.wait(exec_id, 30)
        assert "SUCCESS" == await status(appliance, exec_id)
        key = f"signal:{sent['workflow_exec_id']}.1"
        again = await appliance.engine.dispatch(
            "child.wanted", {"seconds": 0, "fail": ""}, key=key, origin={}
        )
        assert [exec_id] == [each.exec_id for each in again]
        assert [] == await appliance.engine.dispatch("nobody", {}, key="k", origin={})
