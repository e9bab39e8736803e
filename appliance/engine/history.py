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


class TaskName(NamedTuple):
    """Which task of a run it is."""

    seq: int
    task_id: str
    type: str


class Result(NamedTuple):
    """How a run has ended."""

    output: Json
    error: Json


class RunEvent(NamedTuple):
    """Something that is told to whoever watches a run.

    `event` is `workflow_start`, `workflow_status`, `task_status` or, once, `complete`.
    """

    exec_id: str
    workflow_id: str
    event: str
    moment: Moment
    task: TaskName | None = None
    result: Result | None = None

    @property
    def number(self) -> int:
        """Its place among the events of the run, from 1."""
        return self.moment.number

    @property
    def data(self) -> dict[str, Json]:
        """What is told. Made when somebody asks: most events are told to nobody."""
        moment, task = self.moment, self.task
        own: dict[str, Json]
        if task is None:
            own = {"workflow_id": self.workflow_id, "status": moment.status}
        else:
            own = {
                "task_exec_id": f"{self.exec_id}.{task.seq}",
                "task_id": task.task_id,
                "type": task.type,
                "status": moment.status,
                "attempt": moment.attempt,
            }
        end = self.result._asdict() if self.result is not None else {}
        at = clock.to_rfc3339(moment.at)
        return {"workflow_exec_id": self.exec_id, **own, "at": at, **end}


def of_run(run: Run, moment: Moment) -> RunEvent:
    """Return the event of a run's own change of state."""
    event = _run_event(moment, last=True)
    result = Result(run.output, run.error) if event == "complete" else None
    return RunEvent(run.id, run.program.id, event, moment, None, result)


def of_task(task: TaskState, moment: Moment) -> RunEvent:
    """Return the event of a task's change of state."""
    name = TaskName(task.seq, task.task_id, task.node.type)
    return RunEvent(task.run.id, task.run.program.id, "task_status", moment, name)


def replay(row: Row, task_rows: Sequence[Row], after: int = 0) -> list[RunEvent]:
    """Return the events of a run with numbers above *after*, in order, from its rows."""
    exec_id, workflow_id = row["workflow_exec_id"], row["workflow_id"]
    moments = read_history(row["history"])
    events = [_replayed(row, moment, last=moment is moments[-1]) for moment in moments]
    for task in task_rows:
        name = TaskName(task["seq"], task["task_id"], task["execution_type"])
        events += [
            RunEvent(exec_id, workflow_id, "task_status", moment, name)
            for moment in read_history(task["history"])
        ]
    return sorted((event for event in events if event.number > after), key=lambda e: e.number)


def _replayed(row: Row, moment: Moment, *, last: bool) -> RunEvent:
    event = _run_event(moment, last=last)
    ended = event == "complete"
    result = Result(decode(row["output"]), decode(row["error"])) if ended else None
    return RunEvent(row["workflow_exec_id"], row["workflow_id"], event, moment, None, result)


def _run_event(moment: Moment, *, last: bool) -> str:
    """Name a run's change of state. A run that was retried has ended before, and not for good."""
    if moment.number == 1:
        return "workflow_start"
    return "complete" if last and moment.status in TERMINAL else "workflow_status"


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
    if history:
        last = history[-1]
        if last.status == status and last.attempt == attempt:
            return False
    history.append(Moment(number, status, attempt, now_us))
    if len(history) > LONGEST:
        del history[1:-LONGEST]
    return True
