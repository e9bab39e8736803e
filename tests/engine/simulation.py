"""A world without time, disk or processes: runs a workflow on the reducer alone.

After every event the run is rebuilt from its rows and compared, which is what a crash at that moment
would leave.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from appliance.engine.changes import (
    Cancel,
    Changes,
    Event,
    Failed,
    Pause,
    Received,
    Recover,
    Resume,
    Retry,
    SetAside,
    Start,
    Succeeded,
    TimerFired,
)
from appliance.engine.history import RunEvent
from appliance.engine.program import GROUPS, Program, source_of
from appliance.engine.reducer import advance
from appliance.engine.run import Run, Surroundings, TaskState, load
from appliance.engine.status import TERMINAL
from appliance.language.model import Workflow

Tool = Callable[..., Any]

AROUND = Surroundings("tests", {})
EXEC_ID = "0193a000-0000-7000-8000-000000000001"


class ToolError(Exception):
    """What a simulated tool raises for an execution error."""


def program(**workflow: Any) -> Program:
    """Return the program of a workflow given in the model's own terms."""
    document = {"id": "flow", **workflow}
    return Program(source_of(msgspec.convert(document, Workflow)))


class Simulation:
    """One run. Calls and timers wait until a seeded choice lets one of them happen."""

    def __init__(
        self, program: Program, tools: dict[str, Tool], run_input: Any = None, *, seed: int = 0
    ) -> None:
        self.program = program
        self.tools = tools
        self.now_us = 1_000_000
        self.random = random.Random(seed)
        self.run = Run(program, EXEC_ID, run_input or {}, self.now_us, AROUND)
        self.calls: dict[int, int] = {}
        """Calls under way: seq -> attempt."""
        self.timers: dict[int, int] = {}
        self.called: list[tuple[str, int]] = []
        """Every call that was begun: (task id, attempt)."""
        self.killed: list[str] = []
        self.most_calls = 0
        self.reloads = True
        """Whether every step is followed by a look at what the rows would give back."""
        self.touched: frozenset[int] = frozenset()
        """Numbers of the tasks that the last event changed."""
        self.task_rows: dict[int, dict[str, Any]] = {}
        self.run_row: dict[str, Any] = {}
        self.events: list[RunEvent] = []
        self.signal_rows: dict[int, dict[str, Any]] = {}

    def start(self) -> Simulation:
        """Begin the run."""
        self.deliver(Start(self.now_us))
        return self

    def finish(self) -> Simulation:
        """Let things happen until nothing is left to happen."""
        self.start()
        while self.step():
            pass
        return self

    def step(self) -> bool:
        """Let one call end or one timer fire; False when there is neither."""
        choices = [("call", seq) for seq in self.calls] + [("timer", seq) for seq in self.timers]
        if not choices or self.run.ended:
            return False
        kind, seq = self.random.choice(sorted(choices))
        (self.end_call if kind == "call" else self.fire)(self.run.task(seq))
        return True

    def end_call(self, task: TaskState) -> None:
        """Let the tool of *task* return or raise."""
        self.deliver(self._outcome(task.seq, self.calls.pop(task.seq)))

    def fire(self, task: TaskState) -> None:
        """Let the time come that *task* waits for."""
        attempt = self.timers.pop(task.seq)
        self.now_us = max(self.now_us, task.wake_at or 0)
        self.deliver(TimerFired(self.now_us, task.seq, attempt))

    def cancel(self) -> None:
        """Ask the run to stop."""
        self.deliver(Cancel(self.now_us))

    def pause(self) -> None:
        """Ask the run to begin nothing new."""
        self.deliver(Pause(self.now_us))

    def resume(self) -> None:
        """Ask a paused run to go on."""
        self.deliver(Resume(self.now_us))

    def retry(self) -> None:
        """Ask a run that failed to go on from there."""
        self.deliver(Retry(self.now_us))

    def signal(self, name: str, payload: Any = None, *, signal_id: str = "") -> None:
        """Send the run a signal."""
        known = signal_id or f"signal-{len(self.run.signals) + 1}"
        self.deliver(Received(self.now_us, known, name, payload, "test"))

    def crash(self, *, once_more: bool = False) -> None:
        """Lose everything but the rows, then take the run up again, or set it aside."""
        self.calls.clear()
        self.timers.clear()
        self.run = self.reload()
        if not self.run.ended:
            self.deliver((SetAside if once_more else Recover)(self.now_us))

    def deliver(self, event: Event) -> None:
        """Advance the run, store its rows, check them, begin the work."""
        changes = advance(self.run, event)
        self._store(changes)
        self.events += changes.events
        self.touched = frozenset(changes.tasks)
        if self.reloads:
            assert shape(self.run) == shape(self.reload())
        for task in changes.kills:
            if self.calls.pop(task.seq, None) is not None:  # else it was never begun
                self.killed.append(task.task_id)
        for task in changes.calls:
            if task.status == "RUNNING":
                self.calls[task.seq] = task.attempt
                self.called.append((task.task_id, task.attempt))
        for task, _ in changes.timers:
            if task.wake_at is not None:
                self.timers[task.seq] = task.attempt
        self.most_calls = max(self.most_calls, len(self.calls))
        self.now_us += 1

    def reload(self) -> Run:
        """Return the run as its rows describe it."""
        rows: list[Any] = [self.task_rows[seq] for seq in sorted(self.task_rows)]
        signals: list[Any] = [self.signal_rows[number] for number in sorted(self.signal_rows)]
        return load(self.program, self.run_row, rows, signals, AROUND)

    def task(self, task_id: str) -> TaskState:
        """Return the latest execution of a task."""
        return self.run.by_id[task_id]

    def statuses(self) -> dict[str, str]:
        """Return the state of every task by id."""
        return {task.task_id: task.status for task in self.run.tasks}

    def _outcome(self, seq: int, attempt: int) -> Succeeded | Failed:
        task = self.run.task(seq)
        try:
            output = self.tools[task.node.tool_id](**task.input)
        except ToolError as error:
            details = {"code": "TOOL_ERROR", "message": str(error), "details": {}}
            return Failed(self.now_us, seq, attempt, details, retryable=True)
        return Succeeded(self.now_us, seq, attempt, output)

    def _store(self, changes: Changes) -> None:
        if changes.run_changed:
            self.run_row = {**self.run.row(), "version": self.run.version + 1}
            self.run.version += 1
        for task in changes.tasks.values():
            self.task_rows[task.seq] = {**task.row(), "version": task.version + 1}
            task.version += 1
        for signal in (*changes.new_signals, *changes.taken_signals):
            self.signal_rows[signal.number] = signal.row()


def shape(run: Run) -> dict[str, Any]:
    """Return everything that decides how a run goes on."""
    return {
        "run": (run.status, run.input, run.output, run.error, run.version, run.recoveries),
        "tasks": [
            {**task.row(), "group": _group(task) if task.node.type in GROUPS else None}
            for task in run.tasks
        ],
        "waiting": run.waiting,
        "signals": [signal.row() for signal in run.signals],
        "moments": (run.moments, run.history),
        "by_id": {name: task.seq for name, task in run.by_id.items()},
    }


def _group(task: TaskState) -> Any:
    """What a group counts; of one that has ended, canceled children may have left it behind."""
    if task.status in TERMINAL:
        return None
    return task.next_position, dict(task.tally), [held.seq for held in task.held]
