"""What has happened in a run: every change of state, numbered through the run.

The rows of a run and its tasks keep their own changes, so that watching costs no write of its own,
and whoever comes back after a restart is told the same events with the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from appliance import clock
from appliance.engine.run import Moment, Run, TaskState, decode, read_history
from appliance.engine.status import TERMINAL, Status
from appliance.language.model import Json
from appliance.store.database import Row

LONGEST = 200
"""Changes of one task that are kept, beside the first: a row must not grow with every attempt."""


class RunEvent(NamedTuple):
    """Something that was told to whoever watches a run.

    `event` is `workflow_start`, `workflow_status`, `task_status` or, once, `complete`.
    """

    exec_id: str
    workflow_id: str
    number: int
    event: str
    data: dict[str, Json]


def of_run(run: Run, moment: Moment) -> RunEvent:
    """Return the event of a run's own change of state."""
    event = _run_event(moment, last=True)
    data = _run_data(run.id, run.program.id, moment)
    if event == "complete":
        data |= {"output": run.output, "error": run.error}
    return RunEvent(run.id, run.program.id, moment.number, event, data)


def of_task(task: TaskState, moment: Moment) -> RunEvent:
    """Return the event of a task's change of state."""
    run = task.run
    data = _task_data(run.id, task.seq, task.task_id, task.node.type, moment)
    return RunEvent(run.id, run.program.id, moment.number, "task_status", data)


def replay(row: Row, task_rows: Sequence[Row], after: int = 0) -> list[RunEvent]:
    """Return the events of a run with numbers above *after*, in order, from its rows."""
    exec_id, workflow_id = row["workflow_exec_id"], row["workflow_id"]
    moments = read_history(row["history"])
    events = [_replayed(row, moment, last=moment is moments[-1]) for moment in moments]
    for task in task_rows:
        for moment in read_history(task["history"]):
            data = _task_data(exec_id, task["seq"], task["task_id"], task["execution_type"], moment)
            events.append(RunEvent(exec_id, workflow_id, moment.number, "task_status", data))
    return sorted((event for event in events if event.number > after), key=lambda e: e.number)


def _replayed(row: Row, moment: Moment, *, last: bool) -> RunEvent:
    exec_id, workflow_id = row["workflow_exec_id"], row["workflow_id"]
    event = _run_event(moment, last=last)
    data = _run_data(exec_id, workflow_id, moment)
    if event == "complete":
        data |= {"output": decode(row["output"]), "error": decode(row["error"])}
    return RunEvent(exec_id, workflow_id, moment.number, event, data)


def _run_event(moment: Moment, *, last: bool) -> str:
    """Name a run's change of state. A run that was retried has ended before, and not for good."""
    if moment.number == 1:
        return "workflow_start"
    return "complete" if last and moment.status in TERMINAL else "workflow_status"


def _run_data(exec_id: str, workflow_id: str, moment: Moment) -> dict[str, Json]:
    return {
        "workflow_exec_id": exec_id,
        "workflow_id": workflow_id,
        "status": moment.status,
        "at": clock.to_rfc3339(moment.at),
    }


def _task_data(exec_id: str, seq: int, task_id: str, kind: str, moment: Moment) -> dict[str, Json]:
    return {
        "workflow_exec_id": exec_id,
        "task_exec_id": f"{exec_id}.{seq}",
        "task_id": task_id,
        "type": kind,
        "status": moment.status,
        "attempt": moment.attempt,
        "at": clock.to_rfc3339(moment.at),
    }


def shown(history: str) -> list[Mapping[str, Json]]:
    """Return a `history` column as the API shows it."""
    return [
        {
            "number": moment.number,
            "status": moment.status,
            "attempt": moment.attempt,
            "at": clock.to_rfc3339(moment.at),
        }
        for moment in read_history(history)
    ]


def keep(history: list[Moment], status: Status, attempt: int, number: int, now_us: int) -> bool:
    """Add a moment to *history* where something changed. Return whether it did."""
    if history and (history[-1].status, history[-1].attempt) == (status, attempt):
        return False
    history.append(Moment(number, status, attempt, now_us))
    del history[1:-LONGEST]
    return True
