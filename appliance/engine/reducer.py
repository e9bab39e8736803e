"""What a run does next. Everything the engine decides is decided here and below.

`advance` reads no clock, does no I/O and draws no randomness but what the event and the run's ids
give it, so a run can be simulated and replayed. It changes the run in memory; the driver stores the
changes in one transaction before it begins the work they name, and throws the run away if it cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.engine import waits
from appliance.engine.changes import (
    Broken,
    Cancel,
    Changes,
    Enqueue,
    Event,
    Failed,
    Pause,
    Received,
    Recover,
    Resume,
    Retry,
    SetAside,
    Stable,
    Start,
    Succeeded,
    TimerFired,
)
from appliance.engine.outcome import data_failure, failure
from appliance.engine.program import CALLS, GROUPS, conform
from appliance.engine.run import Run, Signal, TaskState, chain_ends, recount
from appliance.engine.status import TERMINAL, Status
from appliance.engine.step import Step
from appliance.errors import InvalidInput
from appliance.language.model import Json

QUARANTINED = failure(
    "QUARANTINED",
    "the server stopped again and again within a minute of taking this run up; it is paused, so "
    "that it cannot do so once more",
)

_LATE = frozenset({"TOOL_TIMEOUT", "TOOL_QUEUE_TIMEOUT"})
"""Codes of failures that are shown as TIMED_OUT."""


def advance(run: Run, event: Event, changes: Changes | None = None) -> Changes:
    """Apply *event* to *run*. Return the changes, added to *changes* where given.

    An event that came too late (an old attempt, a task or run that has ended) changes nothing.
    """
    changes = Changes(run) if changes is None else changes
    if run.ended == isinstance(event, Retry):
        step = Step(run, event.now_us, changes)
        _HANDLERS[type(event)](step, event)
        step.settle()
    return changes


def _on_start(step: Step, _event: Start) -> None:
    run = step.run
    step.change_run("RUNNING")
    first = (run.origin or {}).get("task_id")
    step.begin(run.program.nodes[first] if first else run.program.first, None, 0)


def _on_enqueue(step: Step, _event: Enqueue) -> None:
    step.change_run("PENDING")


def _on_succeeded(step: Step, event: Succeeded) -> None:
    task = step.run.task(event.seq)
    if task.status != "RUNNING" or task.attempt != event.attempt:
        return
    problem = data_failure(event.output)
    if problem is not None:
        step.fail(task, problem, output=event.output)
        return
    try:
        output = conform(event.output, task.node.tool_output)
        step.succeed(task, output, output)
    except InvalidInput as error:
        step.fail(task, failure("INVALID_OUTPUT", error.message), output=event.output)


def _on_failed(step: Step, event: Failed) -> None:
    task = step.run.task(event.seq)
    if task.status != "RUNNING" or task.attempt != event.attempt:
        return
    if event.retryable and step.may_retry(task, event.error):
        step.retry(task, event.error)
    else:
        status: Status = "TIMED_OUT" if event.error["code"] in _LATE else "FAILED"
        step.fail(task, event.error, status=status)


def _on_timer(step: Step, event: TimerFired) -> None:
    """Wake a task. In a paused run it keeps its time, which is looked at again when that resumes."""
    task = step.run.task(event.seq)
    due = task.wake_at is not None and task.attempt == event.attempt
    if not due or task.status in TERMINAL or step.run.status == "PAUSED":
        return
    task.wake_at = None
    if task.status == "WAITING":
        waits.time_out(step, task)
    elif task.status == "RUNNING":
        step.time_out(task)
    elif task.retries:
        step.call(task)
    else:
        step.enter(task)


def _on_received(step: Step, event: Received) -> None:
    run = step.run
    if any(known.id == event.id for known in run.signals):
        return
    signal = Signal(
        run,
        len(run.signals) + 1,
        id=event.id,
        name=event.name,
        payload=event.payload,
        source=event.source,
        received_at=event.now_us,
    )
    run.signals.append(signal)
    step.changes.new_signals.append(signal)
    waits.receive(step, signal)


def _on_pause(step: Step, _event: Pause) -> None:
    step.change_run("PAUSED")


def _on_resume(step: Step, _event: Resume) -> None:
    run = step.run
    if run.status != "PAUSED":
        return
    run.recoveries, run.error = 0, None
    step.change_run("RUNNING" if run.tasks else "PENDING")
    for task in list(run.tasks):  # waking up one may begin another
        if task.status not in TERMINAL:
            _wake_up(step, task)


def _wake_up(step: Step, task: TaskState) -> None:
    in_group = task.parent is not None and task.parent.node.type in GROUPS
    if task.wake_at is not None:
        step.set_timer(task, task.wake_at)
    if task.status == "WAITING" and waits.is_idle(task):
        waits.look(step, task)
    elif task.status == "RUNNING" and task.node.type in GROUPS:
        step.todo.append((step.continue_group, task))
    elif task.is_held and not in_group:
        step.todo.append((step.go_on, task))


def _on_retry(step: Step, _event: Retry) -> None:
    """Begin again where a run ended badly. What succeeded stays as it is."""
    run = step.run
    run.output = run.error = None
    run.recoveries = 0
    step.change_run("RUNNING" if run.tasks else "PENDING")
    if not run.tasks:
        return
    last = run.top[-1]
    if last.status == "SUCCESS":
        step.finish_run(last)
    else:
        _reopen(step, last)
        step.todo.append((step.go_on, last))


def _reopen(step: Step, task: TaskState) -> None:
    """Make a task that ended badly ready to go on. A new attempt fences out what comes late."""
    task.attempt += 1
    task.retries, task.wake_at = 0, None
    task.error = task.output = None
    task.status = "PENDING"
    step.touch(task)
    if task.node.type in GROUPS and task.children:
        for child in chain_ends(task):
            if child.status != "SUCCESS":
                _reopen(step, child)
        recount(task)
    else:
        task.input = None


def _on_cancel(step: Step, _event: Cancel) -> None:
    _stop(step, "CANCELED", failure("CANCELED", "the run was canceled"))


def _on_broken(step: Step, event: Broken) -> None:
    _stop(step, "FAILED", failure("INTERNAL", f"the engine failed: {event.message}"))


def _stop(step: Step, status: Status, error: dict[str, Json]) -> None:
    for task in step.run.tasks:
        step.cancel(task)
    step.run.error = error
    step.change_run(status)


def _on_stable(step: Step, _event: Stable) -> None:
    step.run.recoveries = 0
    step.change_run(step.run.status)


def _on_recover(step: Step, event: Recover) -> None:
    """Begin again what was cut off. A higher attempt fences out a result that comes late."""
    run = step.run
    paused = run.status == "PAUSED"
    cut_off = False
    for task in run.tasks:
        if task.status in TERMINAL:
            continue
        if task.wake_at is not None:
            step.set_timer(task, task.wake_at)
        elif task.status == "RUNNING" and task.node.type in CALLS:
            cut_off = True
            task.attempt += 1
            (step.hold if paused else step.call)(task)
    run.recoveries += event.suspect and cut_off and not paused
    step.change_run(run.status)


def _on_set_aside(step: Step, event: SetAside) -> None:
    """Pause a run, so that it cannot take the server down once more."""
    step.run.error = QUARANTINED
    step.change_run("PAUSED")
    _on_recover(step, Recover(event.now_us))


_HANDLERS: dict[type[Event], Callable[[Step, Any], None]] = {
    Start: _on_start,
    Enqueue: _on_enqueue,
    Succeeded: _on_succeeded,
    Failed: _on_failed,
    TimerFired: _on_timer,
    Received: _on_received,
    Pause: _on_pause,
    Resume: _on_resume,
    Retry: _on_retry,
    Cancel: _on_cancel,
    Recover: _on_recover,
    SetAside: _on_set_aside,
    Stable: _on_stable,
    Broken: _on_broken,
}
