"""The contract of the repositories of runs, tasks, definitions and the probe, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from appliance import ids
from appliance.errors import Conflict, VersionConflict
from appliance.store.batch import Batch, save
from appliance.store.database import Database, Param, Transaction
from appliance.store.probe import Probe
from appliance.store.signals import Signals
from appliance.store.task_states import TaskStates
from appliance.store.workflow_states import LAST_ID, Definitions, WorkflowStates

Columns = dict[str, Param]
EMPTY = Batch(None, [], [], [], [], [], [])


def run(**more: Param) -> Columns:
    """Return the columns of a run of the workflow `flow`."""
    return {
        "workflow_exec_id": ids.new_id(),
        "workflow_id": "flow",
        "definition_hash": "hash",
        "status": "RUNNING",
        "input": '{"text": "ünï \\u0000"}',
        "output": None,
        "error": None,
        "started_by": None,
        "idempotency_key": None,
        "origin": '{"type": "api"}',
        "history": '[[1, "RUNNING", 1, 1]]',
        "recoveries": 0,
        "node_id": None,
        "version": 0,
        "created_at": 1,
        "updated_at": 1,
        **more,
    }


def task(exec_id: Param, seq: int, **more: Param) -> Columns:
    """Return the columns of a task."""
    return {
        "workflow_exec_id": exec_id,
        "seq": seq,
        "task_id": f"t{seq}",
        "execution_type": "basic",
        "status": "RUNNING",
        "parent_seq": None,
        "position": 0,
        "attempt": 1,
        "retries": 0,
        "wake_at": 2**53 + 1,
        "input": "{}",
        "output": None,
        "error": None,
        "history": None,
        "version": 0,
        "created_at": 1,
        "updated_at": 1,
        **more,
    }


@pytest.fixture
def runs(db: Database) -> list[Columns]:
    """Three runs, oldest first; the last one has ended."""
    found = [run(), run(workflow_id="other"), run(status="SUCCESS")]

    def work(tx: Transaction) -> None:
        row: Columns = {"hash": "hash", "workflow_id": "flow", "source": "{}", "created_at": 1}
        Definitions(tx).keep([row, row])
        save(tx, EMPTY._replace(new_runs=found))

    db.write(work).result()
    return found


def names(rows: list[Any]) -> list[Any]:
    return [row["workflow_exec_id"] for row in rows]


def test_a_run_comes_back_as_it_was_written(db: Database, runs: list[Columns]) -> None:
    """Every column is kept, texts to the letter; the version counts from 1."""
    name = str(runs[0]["workflow_exec_id"])
    row = db.read(lambda tx: WorkflowStates(tx).get(name)).result()

    assert row is not None
    assert {**runs[0], "version": 1} == {key: row[key] for key in runs[0]}
    assert db.read(lambda tx: WorkflowStates(tx).get("nobody")).result() is None


def test_runs_are_paged_from_the_newest(db: Database, runs: list[Columns]) -> None:
    """A page goes on where the last one ended; workflow, states and time narrow it."""
    first, second, third = names(runs)

    def page(**more: Any) -> list[Any]:
        asked: dict[str, Any] = {"workflow_id": None, "statuses": (), "since": "", "limit": 9}
        asked["before"] = LAST_ID
        return names(db.read(lambda tx: WorkflowStates(tx).page(**{**asked, **more})).result())

    assert [third, second] == page(limit=2)
    assert [first] == page(before=second)
    assert [third, first] == page(workflow_id="flow")
    assert [third] == page(statuses=["SUCCESS"])
    assert [first] == page(workflow_id="flow", statuses=["RUNNING"])
    assert [third, first] == page(workflow_id="flow", statuses=["RUNNING", "SUCCESS"])
    assert [third, second] == page(since=second)
    assert [second] == page(workflow_id="other", since=second, before=third)


def test_active_runs_are_those_that_have_not_ended(db: Database, runs: list[Columns]) -> None:
    """Recovery finds them oldest first, in pages."""
    first, second, _ = names(runs)

    assert [first, second] == names(
        db.read(lambda tx: WorkflowStates(tx).active(after="", limit=9)).result()
    )
    assert [second] == names(
        db.read(lambda tx: WorkflowStates(tx).active(after=first, limit=9)).result()
    )


def test_an_idempotency_key_is_taken_once(db: Database, runs: list[Columns]) -> None:
    """The second run under a key is refused; the first one can be found by it."""
    chosen = run(idempotency_key="k")
    db.write(lambda tx: save(tx, EMPTY._replace(new_runs=[chosen]))).result()

    with pytest.raises(Conflict):
        db.write(lambda tx: save(tx, EMPTY._replace(new_runs=[run(idempotency_key="k")]))).result()
    row = db.read(lambda tx: WorkflowStates(tx).with_idempotency_key("k")).result()
    assert row is not None
    assert chosen["workflow_exec_id"] == row["workflow_exec_id"]


def test_an_old_version_changes_nothing(db: Database, runs: list[Columns]) -> None:
    """Of a batch with one row that somebody else changed, nothing is stored."""
    fresh, stale = {**runs[0], "version": 1}, {**runs[1], "version": 7, "status": "FAILED"}
    fresh["status"] = "FAILED"

    with pytest.raises(VersionConflict):
        db.write(lambda tx: save(tx, EMPTY._replace(runs=[fresh, stale]))).result()
    row = db.read(lambda tx: WorkflowStates(tx).get(str(fresh["workflow_exec_id"]))).result()
    assert row is not None
    assert ("RUNNING", 1) == (row["status"], row["version"])
    db.write(lambda tx: save(tx, EMPTY._replace(runs=[fresh]))).result()


def test_tasks_of_a_run(db: Database, runs: list[Columns]) -> None:
    """They come in the order they began; an update names the version that it read."""
    name = str(runs[0]["workflow_exec_id"])
    found = [task(name, 2, parent_seq=1), task(name, 1), task(name, 10)]
    db.write(lambda tx: save(tx, EMPTY._replace(new_tasks=found))).result()

    rows = db.read(lambda tx: TaskStates(tx).of_run(name)).result()
    assert [1, 2, 10] == [row["seq"] for row in rows]
    assert {**found[0], "version": 1} == {key: rows[1][key] for key in found[0]}

    done = {**found[0], "version": 1, "status": "SUCCESS", "output": '"é"', "wake_at": None}
    db.write(lambda tx: save(tx, EMPTY._replace(tasks=[done]))).result()
    rows = db.read(lambda tx: TaskStates(tx).of_run(name)).result()
    assert {**done, "version": 2} == {key: rows[1][key] for key in done}
    with pytest.raises(VersionConflict):
        db.write(lambda tx: save(tx, EMPTY._replace(tasks=[done]))).result()


@pytest.mark.parametrize("wrong", [{"status": "DONE"}, {"execution_type": "magic"}])
def test_a_state_that_does_not_exist_is_refused(
    db: Database, runs: list[Columns], wrong: Columns
) -> None:
    """The database itself knows the states and types."""
    name = runs[0]["workflow_exec_id"]

    with pytest.raises(Conflict):
        db.write(lambda tx: save(tx, EMPTY._replace(new_tasks=[task(name, 1, **wrong)]))).result()


def test_a_batch_is_stored_as_a_whole(db: Database, runs: list[Columns]) -> None:
    """Runs, tasks and signals in one go, in an order in which they can refer to each other."""
    new, old = run(), {**runs[0], "version": 1, "status": "WAITING"}
    name = str(new["workflow_exec_id"])
    signal: Columns = {
        "workflow_exec_id": name, "number": 1, "signal_id": "s", "name": "go", "payload": "1",
        "source": "api", "received_at": 5, "taken_by": None,
    }  # fmt: skip
    tasks = [task(name, seq) for seq in range(1, 21)]
    everything = Batch(None, [new], [], tasks, [signal], [{**signal, "taken_by": 7}], [old])
    db.write(lambda tx: save(tx, everything)).result()

    found = db.read(lambda tx: (TaskStates(tx).of_run(name), Signals(tx).of_run(name))).result()
    assert list(range(1, 21)) == [row["seq"] for row in found[0]]
    assert [{**signal, "taken_by": 7}] == [dict(row) for row in found[1]]
    with pytest.raises(VersionConflict):
        db.write(
            lambda tx: save(tx, everything._replace(new_runs=[], new_tasks=[], new_signals=[]))
        ).result()


def test_what_cannot_be_stored_leaves_nothing_of_a_batch(db: Database, runs: list[Columns]) -> None:
    """Whichever part of it is refused."""
    new, twin = run(), runs[1]
    name = str(new["workflow_exec_id"])
    stale = {**runs[0], "version": 9}
    for wrong in (
        EMPTY._replace(new_runs=[new, twin]),
        EMPTY._replace(new_runs=[new], new_tasks=[task(name, 1), task(name, 1)]),
        EMPTY._replace(new_runs=[new], tasks=[task(name, 1)]),
        EMPTY._replace(new_runs=[new], runs=[stale]),
    ):
        with pytest.raises((Conflict, VersionConflict)):
            db.write(lambda tx, rows=wrong: save(tx, rows)).result()  # type: ignore[misc]
        assert db.read(lambda tx: WorkflowStates(tx).get(name)).result() is None


def test_a_task_needs_its_run(db: Database) -> None:
    """A task of an unknown run is refused."""
    with pytest.raises(Conflict):
        db.write(lambda tx: save(tx, EMPTY._replace(new_tasks=[task(ids.new_id(), 1)]))).result()


def test_the_probe_is_one_row(db: Database) -> None:
    """It can be written again and again."""
    for at in (1, 2):
        db.write(lambda tx, at=at: Probe(tx).write(at)).result()  # type: ignore[misc]
