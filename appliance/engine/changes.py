"""What can happen to a run, and what a decision of the reducer asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.engine.run import Run, TaskState
from appliance.language.model import Json


class Start(NamedTuple):
    """The run was asked for."""

    now_us: int


class Succeeded(NamedTuple):
    """A tool returned *output*."""

    now_us: int
    seq: int
    attempt: int
    output: Json


class Failed(NamedTuple):
    """A tool did not return. `error` is {code, message, details}."""

    now_us: int
    seq: int
    attempt: int
    error: dict[str, Json]
    retryable: bool


class TimerFired(NamedTuple):
    """The `wake_at` of a task has come."""

    now_us: int
    seq: int
    attempt: int


class Cancel(NamedTuple):
    """Somebody wants the run to stop."""

    now_us: int


class Recover(NamedTuple):
    """The run was loaded after a restart; whatever was running is begun again."""

    now_us: int


class Stable(NamedTuple):
    """The server has run long enough since the run was recovered to call it harmless."""

    now_us: int


class Broken(NamedTuple):
    """The engine itself failed on this run: a defect, told to whoever reads the run."""

    now_us: int
    message: str


Event = Start | Succeeded | Failed | TimerFired | Cancel | Recover | Stable | Broken


@dataclass(slots=True)
class Changes:
    """Rows to store in one transaction, then work to begin. Several events may share one."""

    run: Run
    run_changed: bool = False
    tasks: dict[int, TaskState] = field(default_factory=dict)
    calls: list[TaskState] = field(default_factory=list)
    kills: list[TaskState] = field(default_factory=list)
    timers: list[TaskState] = field(default_factory=list)

    def merge(self, later: Changes) -> None:
        """Take over what happened after these changes."""
        self.run_changed |= later.run_changed
        self.tasks.update(later.tasks)
        self.calls += later.calls
        self.kills += later.kills
        self.timers += later.timers
