"""What can happen to a run, and what a decision of the reducer asks for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.engine.history import RunEvent
from appliance.engine.run import Run, Signal, TaskState
from appliance.language.model import Json


class Start(NamedTuple):
    """The run was asked for. It begins with the first task, or with the one its origin names."""

    now_us: int


class Enqueue(NamedTuple):
    """The run was asked for and has to wait in line."""

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


class Received(NamedTuple):
    """A signal came. The same `id` again is the same signal."""

    now_us: int
    id: str
    name: str
    payload: Json
    source: str


class Pause(NamedTuple):
    """Somebody wants the run to begin nothing new."""

    now_us: int


class Resume(NamedTuple):
    """Somebody wants a paused run to go on."""

    now_us: int


class Retry(NamedTuple):
    """Somebody wants a run that failed or was canceled to go on from there."""

    now_us: int


class Cancel(NamedTuple):
    """Somebody wants the run to stop."""

    now_us: int


class Recover(NamedTuple):
    """The run was loaded as it was stored; whatever was running is begun again.

    *suspect*: the server stopped, and this run may have been the cause.
    """

    now_us: int
    suspect: bool = False


class SetAside(NamedTuple):
    """The server stopped too often right after it had taken the run up."""

    now_us: int


class Stable(NamedTuple):
    """The server has run long enough since the run was recovered to call it harmless."""

    now_us: int


class Broken(NamedTuple):
    """The engine itself failed on this run: a defect, told to whoever reads the run."""

    now_us: int
    message: str


Event = (
    Start
    | Enqueue
    | Succeeded
    | Failed
    | TimerFired
    | Received
    | Pause
    | Resume
    | Retry
    | Cancel
    | Recover
    | SetAside
    | Stable
    | Broken
)


@dataclass(slots=True)
class Changes:
    """Rows to store in one transaction, then work to begin. Several events may share one.

    `waiters` are told when all of it is durable, or why it is not.
    """

    run: Run
    run_changed: bool = False
    tasks: dict[int, TaskState] = field(default_factory=dict)
    new_signals: list[Signal] = field(default_factory=list)
    taken_signals: list[Signal] = field(default_factory=list)
    events: list[RunEvent] = field(default_factory=list)
    calls: list[TaskState] = field(default_factory=list)
    kills: list[TaskState] = field(default_factory=list)
    timers: list[tuple[TaskState, float]] = field(default_factory=list)
    """Tasks to be woken, and after how many seconds."""
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.run_changed or self.tasks or self.new_signals or self.taken_signals)

    def merge(self, later: Changes) -> None:
        """Take over what happened after these changes."""
        self.run_changed |= later.run_changed
        self.tasks.update(later.tasks)
        self.new_signals += later.new_signals
        self.taken_signals += later.taken_signals
        self.events += later.events
        self.calls += later.calls
        self.kills += later.kills
        self.timers += later.timers
        self.waiters += later.waiters
