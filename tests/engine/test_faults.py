"""What runs do when the database fails them. The faults are real errors of a wrapped real database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.engine.recovery import MAX_RECOVERIES
from appliance.engine.runner import Engine
from appliance.errors import (
    ApplianceError,
    InvalidInput,
    OutcomeUnknown,
    StorageFull,
    Unavailable,
)
from appliance.language.loader import load_project
from appliance.store.batch import Batch, save
from appliance.store.database import Database, Row, T, Transaction, Work, settle
from appliance.store.task_states import TaskStates
from appliance.store.workflow_states import LAST_ID, WorkflowStates
from appliance.tools.pool import ToolPool, ToolRuntime

PROJECT = Path(__file__).parent / "project"


class FaultyDatabase:
    """A database whose next writes fail as told, before or after they were committed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.driver = database.driver
        self.before: list[ApplianceError] = []
        self.after: list[ApplianceError] = []

    def read(self, work: Work[T], *, scan: bool = False) -> Future[T]:
        return self._database.read(work, scan=scan)

    def write(self, work: Work[T]) -> Future[T]:
        if self.before:
            return _failed(self.before.pop(0))
        future = self._database.write(work)
        if self.after:
            future.result()
            return _failed(self.after.pop(0))
        return future


def _every_run(tx: Transaction) -> list[Row]:
    return WorkflowStates(tx).page(workflow_id=None, statuses=(), since="", before=LAST_ID, limit=9)


def _failed(error: ApplianceError) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def drive(db: Database, work: Callable[[Engine, FaultyDatabase], Any]) -> None:
    """Open an engine on *db* behind a FaultyDatabase and let *work* use it."""

    async def main() -> None:
        faulty = FaultyDatabase(db)
        pool = ToolPool(ToolRuntime(entrypoint=PROJECT / "tools.py"))
        await pool.open()
        engine = Engine(faulty, load_project(PROJECT, {}), pool, pool)  # type: ignore[arg-type]
        await engine.open()
        try:
            await asyncio.wait_for(work(engine, faulty), 30)
        finally:
            await engine.close()
            await pool.close()
        assert [] == faulty.before == faulty.after

    asyncio.run(main())


async def stored(db: FaultyDatabase, exec_id: str) -> tuple[str, list[int]]:
    """Return the state of a run and the attempts of its tasks."""
    run = await settle(db.read(lambda tx: WorkflowStates(tx).get(exec_id)))
    tasks = await settle(db.read(lambda tx: TaskStates(tx).of_run(exec_id)))
    assert run is not None
    return run["status"], [task["attempt"] for task in tasks]


async def ended(engine: Engine, db: FaultyDatabase, exec_id: str) -> tuple[str, list[int]]:
    for _ in range(1000):
        status, attempts = await stored(db, exec_id)
        if status != "RUNNING":
            return status, attempts
        await asyncio.sleep(0.01)
    raise AssertionError


def test_a_start_that_cannot_be_stored_is_refused(db: Database) -> None:
    """Whoever asks for a run hears at once that the disk is full, and no run is there."""

    async def work(engine: Engine, faulty: FaultyDatabase) -> None:
        faulty.before = [StorageFull()]
        with pytest.raises(StorageFull):
            await engine.start(engine.program("slow"), {"seconds": 0})
        assert 0 == engine.active

    drive(db, work)


@pytest.mark.parametrize("error", [StorageFull, Unavailable])
def test_a_step_waits_for_the_database(db: Database, error: type[ApplianceError]) -> None:
    """A result that cannot be stored is offered again; the tool is not called again."""

    async def work(engine: Engine, faulty: FaultyDatabase) -> None:
        exec_id = await engine.start(engine.program("slow"), {"seconds": 0.1})
        faulty.before = [error(), error()]
        assert await engine.wait(exec_id, 20)
        assert ("SUCCESS", [1]) == await stored(faulty, exec_id)

    drive(db, work)


def test_an_unknown_outcome_is_looked_up(db: Database) -> None:
    """A step whose commit may have happened goes on from what the database says."""

    async def work(engine: Engine, faulty: FaultyDatabase) -> None:
        exec_id = await engine.start(engine.program("slow"), {"seconds": 0.1})
        faulty.after = [OutcomeUnknown()]
        assert ("SUCCESS", [1]) == await ended(engine, faulty, exec_id)

        exec_id = await engine.start(engine.program("slow"), {"seconds": 0.1})
        faulty.before = [OutcomeUnknown()]
        assert ("SUCCESS", [2]) == await ended(engine, faulty, exec_id)

    drive(db, work)


def test_a_start_with_an_unknown_outcome_goes_on_if_it_happened(db: Database) -> None:
    """The caller hears that the outcome is unknown; the run, if it is there, is not left lying."""

    async def work(engine: Engine, faulty: FaultyDatabase) -> None:
        faulty.after = [OutcomeUnknown()]
        with pytest.raises(OutcomeUnknown):
            await engine.start(engine.program("slow"), {"seconds": 0})
        rows = await settle(faulty.read(_every_run))
        (exec_id,) = [row["workflow_exec_id"] for row in rows]
        assert ("SUCCESS", [2]) == await ended(engine, faulty, exec_id)

    drive(db, work)


def test_one_run_that_lost_a_race_does_not_stop_the_others(db: Database) -> None:
    """When somebody else changed a run, that one is read again; those stored with it are stored."""

    async def work(engine: Engine, faulty: FaultyDatabase) -> None:
        program = engine.program("slow")
        first, second = await asyncio.gather(
            engine.start(program, {"seconds": 0.2}), engine.start(program, {"seconds": 0.2})
        )
        rows = await settle(faulty.read(lambda tx: TaskStates(tx).of_run(first)))
        changed = [{**rows[0]}]
        await settle(faulty.write(lambda tx: save(tx, Batch(None, [], changed, [], [], [], []))))
        assert ("SUCCESS", [1]) == await ended(engine, faulty, second)
        assert ("SUCCESS", [2]) == await ended(engine, faulty, first)

    drive(db, work)


def visit(db: Database, work: Callable[[Engine], Any], *, orderly: bool) -> None:
    """Open an engine on *db*, let *work* use it, and stop it in order or as a crash would."""

    async def main() -> None:
        pool = ToolPool(ToolRuntime(entrypoint=PROJECT / "tools.py"))
        await pool.open()
        engine = Engine(db, load_project(PROJECT, {}), pool, pool)
        await engine.open()
        await work(engine)
        if orderly:
            await engine.close(0.2)
        await pool.close()

    asyncio.run(main())


@pytest.mark.parametrize("orderly", [False, True])
def test_a_run_that_takes_the_server_down_is_set_aside(db: Database, *, orderly: bool) -> None:
    """Five crashes in a row pause a run, which can still be canceled; orderly stops do not."""
    ids: list[str] = []

    async def begin(engine: Engine) -> None:
        ids.append(await engine.start(engine.program("slow"), {"seconds": 60}))

    async def look(_engine: Engine) -> None:
        await asyncio.sleep(0.05)  # until the recovery is stored

    async def cancel(engine: Engine) -> None:
        await engine.cancel(ids[0])

    visit(db, begin, orderly=orderly)
    for _ in range(MAX_RECOVERIES + 1):
        visit(db, look, orderly=orderly)

    run = db.read(lambda tx: WorkflowStates(tx).get(ids[0])).result()
    assert run is not None
    assert ("RUNNING" if orderly else "PAUSED") == run["status"]
    assert orderly or "QUARANTINED" in run["error"]
    visit(db, cancel, orderly=True)
    run = db.read(lambda tx: WorkflowStates(tx).get(ids[0])).result()
    assert run is not None
    assert "CANCELED" == run["status"]


def test_a_value_that_is_no_json_costs_its_own_run_only(db: Database) -> None:
    """Who asks for it is told; what other runs change at the same moment is stored."""

    async def work(engine: Engine, _: FaultyDatabase) -> None:
        program = engine.program("slow")
        inputs = ({"seconds": 0}, {"seconds": 0, "text": "\ud800"}, {"seconds": 0})
        starts = [engine.start(program, given) for given in inputs]
        first, bad, last = await asyncio.gather(*starts, return_exceptions=True)
        assert isinstance(bad, InvalidInput)
        assert [True, True] == [await engine.wait(str(good), 10) for good in (first, last)]

    drive(db, work)


def test_a_run_that_comes_to_hold_what_is_no_json_ends(db: Database) -> None:
    """It fails with the reason; it is not taken up again and again."""

    async def work(engine: Engine, faulty: FaultyDatabase) -> None:
        exec_id = await engine.start(engine.program("approval"), {"question": "now?"})
        while (await engine.read(exec_id)).status != "WAITING":
            await asyncio.sleep(0.01)
        with pytest.raises(InvalidInput):
            await engine.signal(exec_id, "answered", {"by": "\ud800"}, signal_id="1", source="test")
        assert await engine.wait(exec_id, 10)
        assert ("FAILED", "INTERNAL") == await _end(faulty, exec_id)

    drive(db, work)


async def _end(db: FaultyDatabase, exec_id: str) -> tuple[str, str]:
    row = await settle(db.read(lambda tx: WorkflowStates(tx).get(exec_id)))
    assert row is not None
    return row["status"], msgspec.json.decode(row["error"])["code"]
