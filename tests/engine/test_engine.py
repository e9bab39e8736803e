"""The engine on real databases with real tool processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings, Settings
from appliance.errors import Conflict, InvalidInput, NotFound
from appliance.language.loader import load_project
from appliance.operations import commands, executions
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance

PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ledger"
    monkeypatch.setenv("LEDGER", str(path))
    return path


@asynccontextmanager
async def opened(database: DatabaseSettings, home: Path) -> AsyncIterator[Appliance]:
    settings = Settings(cwd=home, data_dir=home / "data", database=database)
    async with Appliance.open(settings, load_project(PROJECT, {})) as appliance:
        yield appliance


async def finish(appliance: Appliance, workflow: str, run_input: Any = None) -> dict[str, Any]:
    started = await executions.start_execution(
        appliance, SYSTEM, workflow, run_input=run_input or {}
    )
    state, ended = await executions.wait_for(appliance, started.exec_id, 30)
    assert ended, state
    return state


def shape(tasks: dict[str, Any]) -> dict[str, Any]:
    """Return what of a task tree is the same wherever it ran."""
    return {
        name: (task["type"], task["status"], task["output"], shape(task["children"]))
        for name, task in tasks.items()
    }


TWELVE = {"names": ["Ada", "Grace", "Edsger"]}
SUMMARY = {
    "summary": {"count": 3, "sides": "left-right", "route": "high"},
    "people": ["person-0", "person-1", "person-2"],
}


def test_nested_workflow(database_settings: DatabaseSettings, tmp_path: Path) -> None:
    """Composite, parallel, router and collection nest; output and tree are as written."""

    async def check() -> dict[str, Any]:
        async with opened(database_settings, tmp_path) as appliance:
            return await finish(appliance, "twelve", TWELVE)

    state = asyncio.run(check())

    assert "SUCCESS" == state["status"]
    assert SUMMARY == state["output"]
    work = shape(state["tasks"])["work"][3]
    assert ["both", "volume", "shout", "each"] == list(work)
    greet: Any = ("basic", "SUCCESS", {"text": "Hi Ada"}, {})
    sign: Any = ("basic", "SUCCESS", {"text": "Hi Ada!"}, {})
    assert {"greet": greet, "sign": sign} == work["each"][3]["person-0"][3]


def test_race_kills_the_loser(
    database_settings: DatabaseSettings, tmp_path: Path, ledger: Path
) -> None:
    """A race returns with the first child; the loser's process is gone."""

    async def check() -> dict[str, Any]:
        async with opened(database_settings, tmp_path) as appliance:
            state = await finish(appliance, "race")
            assert _gone(_pid(ledger, f"{state['workflow_exec_id']}.3"))
            return state

    state = asyncio.run(check())

    assert {"winners": 1} == state["output"]
    assert "CANCELED" == state["tasks"]["first"]["children"]["snail"]["status"]


def test_batch(sqlite_settings: DatabaseSettings, tmp_path: Path) -> None:
    """A thousand items in batches of fifty all run, and never more than fifty at once."""
    most = 0

    async def check() -> dict[str, Any]:
        async with opened(sqlite_settings, tmp_path) as appliance:
            watch = asyncio.create_task(_watch(appliance))
            state = await finish(appliance, "batch")
            watch.cancel()
            return state

    async def _watch(appliance: Appliance) -> None:
        nonlocal most
        while True:
            most = max(most, appliance.engine.calls)
            await asyncio.sleep(0.001)

    state = asyncio.run(check())

    assert {"done": 1000} == state["output"]
    assert 0 < most <= 50


def test_cancel(database_settings: DatabaseSettings, tmp_path: Path, ledger: Path) -> None:
    """A canceled run has ended when the call returns, and its tool is gone; twice is a conflict."""

    async def check() -> dict[str, Any]:
        async with opened(database_settings, tmp_path) as appliance:
            started = await executions.start_execution(
                appliance, SYSTEM, "slow", run_input={"seconds": 60}
            )
            while not ledger.exists():
                await asyncio.sleep(0.01)
            state = await commands.cancel_execution(appliance, SYSTEM, started.exec_id)
            assert _gone(_pid(ledger, f"{started.exec_id}.1"))
            with pytest.raises(Conflict):
                await commands.cancel_execution(appliance, SYSTEM, started.exec_id)
            return state

    state = asyncio.run(check())

    assert ("CANCELED", "CANCELED") == (state["status"], state["tasks"]["nap"]["status"])


def test_a_stopped_server_goes_on(
    sqlite_settings: DatabaseSettings,
    postgres_settings: DatabaseSettings,
    tmp_path: Path,
    ledger: Path,
) -> None:
    """A run that a stop cut off goes on with the next server: same id, higher attempt, once done."""

    async def check(database: DatabaseSettings, home: Path) -> None:
        home.mkdir()
        ledger.unlink(missing_ok=True)
        async with opened(database, home) as appliance:
            started = await executions.start_execution(
                appliance, SYSTEM, "twelve", run_input={**TWELVE, "pause": 1.0}
            )
            while "slow" not in _begun(ledger, f"{started.exec_id}.5"):
                await asyncio.sleep(0.01)
            await appliance.engine.close(0)
        async with opened(database, home) as appliance:
            await appliance.engine.wait(started.exec_id, 30)
            state = await executions.get_execution(appliance, started.exec_id)
        assert ("SUCCESS", SUMMARY) == (state["status"], state["output"])
        lines = [line.split() for line in ledger.read_text().splitlines()]
        ends = [line[0] for line in lines if line[2] == "end"]
        assert len(ends) == len(set(ends))
        cut = [int(line[1]) for line in lines if line[0] == f"{started.exec_id}.5"]
        assert [1, 2, 2] == cut

    asyncio.run(check(sqlite_settings, tmp_path / "sqlite"))
    asyncio.run(check(postgres_settings, tmp_path / "postgres"))


def test_idempotency_key(database_settings: DatabaseSettings, tmp_path: Path) -> None:
    """The same key and request give the same run; another request under the key is a conflict."""

    async def check() -> None:
        async with opened(database_settings, tmp_path) as appliance:
            ask: dict[str, Any] = {"run_input": TWELVE, "idempotency_key": "order-1"}
            both = await asyncio.gather(
                executions.start_execution(appliance, SYSTEM, "twelve", **ask),
                executions.start_execution(appliance, SYSTEM, "twelve", **ask),
            )
            again = await executions.start_execution(appliance, SYSTEM, "twelve", **ask)
            assert 1 == len({started.exec_id for started in (*both, again)})
            assert again.replayed
            with pytest.raises(Conflict):
                await executions.start_execution(
                    appliance, SYSTEM, "twelve", run_input={"names": []}, idempotency_key="order-1"
                )

    asyncio.run(check())


def test_bad_starts(database_settings: DatabaseSettings, tmp_path: Path) -> None:
    """An unknown workflow and an input that misses a field are refused with a sentence."""

    async def check() -> None:
        async with opened(database_settings, tmp_path) as appliance:
            with pytest.raises(NotFound, match="there is no workflow 'twelv'"):
                await executions.start_execution(appliance, SYSTEM, "twelv", run_input={})
            with pytest.raises(InvalidInput, match="names"):
                await executions.start_execution(appliance, SYSTEM, "twelve", run_input={})
            page = await executions.list_executions(appliance)
            assert [] == page.items

    asyncio.run(check())


def test_listing(database_settings: DatabaseSettings, tmp_path: Path) -> None:
    """Runs are listed newest first, in pages, by workflow and by status."""

    async def check() -> None:
        async with opened(database_settings, tmp_path) as appliance:
            ids = [
                (await finish(appliance, "twelve", TWELVE))["workflow_exec_id"] for _ in range(3)
            ]
            first = await executions.list_executions(appliance, limit=2)
            rest = await executions.list_executions(appliance, limit=2, cursor=first.next_cursor)
            listed = [item["workflow_exec_id"] for item in (*first.items, *rest.items)]
            assert ids[::-1] == listed
            assert rest.next_cursor is None
            found = await executions.list_executions(appliance, workflow_id="race")
            assert [] == found.items
            found = await executions.list_executions(appliance, status="SUCCESS")
            assert 3 == len(found.items)

    asyncio.run(check())


def _begun(ledger: Path, task_exec_id: str) -> str:
    if not ledger.exists():
        return ""
    return "slow" if f"{task_exec_id} 1 begin" in ledger.read_text() else ""


def _pid(ledger: Path, task_exec_id: str) -> int:
    lines = (line.split() for line in ledger.read_text().splitlines())
    return next(int(line[3]) for line in lines if line[0] == task_exec_id)


def _gone(pid: int) -> bool:
    """Wait for a killed process to vanish; one that only waits to be noticed has."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.005)
    return False
