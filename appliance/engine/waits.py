"""Tasks that wait for a signal: what they take, what they ignore, and when they have had enough.

A signal goes to every task that waits for its name. Where none does it stays with the run, and the
next wait for that name begins with it. Each wait looks at its signals one by one; the first one
that its condition accepts ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine import context
from appliance.engine.outcome import WAIT_TIMEOUT, failure
from appliance.engine.run import Signal, TaskState
from appliance.errors import InvalidInput
from appliance.language.durations import parse_duration
from appliance.language.model import Json

if TYPE_CHECKING:
    from appliance.engine.step import Step


def enter(step: Step, task: TaskState) -> None:
    """Begin to wait, first of all for what came before. Raises InvalidInput."""
    step.render_input(task)
    name, timeout = _name(step, task), _timeout(step, task)
    task.input = {**task.input, "wait_for": name, "inbox": []}
    task.output = {
        "wait_status": "waiting",
        "signal_name": name,
        "has_processor": bool(task.node.children),
        "timeout_seconds": timeout,
        "timeout_milliseconds": None if timeout is None else round(timeout * 1000),
    }
    task.status = "WAITING"
    if timeout is None:
        step.touch(task)
    else:
        step.wake_after(task, timeout)
    for signal in task.run.signals:
        if signal.taken_by is None and signal.name == name:
            _take(step, task, signal)
    look(step, task)


def receive(step: Step, signal: Signal) -> None:
    """Give a new signal to whoever waits for it."""
    for seq in sorted(step.run.waiting):
        task = step.run.task(seq)
        if task.input["wait_for"] == signal.name:
            idle = not task.input["inbox"]
            _take(step, task, signal)
            if idle and step.run.status != "PAUSED":
                look(step, task)


def look(step: Step, task: TaskState) -> None:
    """Look at the signals that *task* has taken, until one is right or a processor is asked."""
    while task.status == "WAITING" and task.input["inbox"]:
        if task.node.processor is not None:
            step.begin(task.node.processor, task, task.input["inbox"][0])
            return
        _judge(step, task, None)


def processed(step: Step, task: TaskState, child: TaskState) -> None:
    """Go on with what the processor *child* made of the signal in hand."""
    if child.status != "SUCCESS":
        assert child.error is not None
        message = f"the processor {child.task_id} failed: {child.error['message']}"
        step.fail(task, failure("PROCESSOR_FAILED", message), output=task.output)
        return
    _judge(step, task, child)
    look(step, task)


def time_out(step: Step, task: TaskState) -> None:
    """End a wait that no right signal came to in time."""
    step.cancel_below(task)
    message = f"no signal {task.input['wait_for']!r} that it waits for came in time"
    step.fail(task, failure(WAIT_TIMEOUT, message), status="TIMED_OUT", output=task.output)


def is_idle(task: TaskState) -> bool:
    """Whether no processor is at work for *task*."""
    return not any(child.status in ("PENDING", "RUNNING", "WAITING") for child in task.children)


def _take(step: Step, task: TaskState, signal: Signal) -> None:
    task.input["inbox"].append(signal.number)
    step.touch(task)
    if signal.taken_by is None:
        signal.taken_by = task.seq
        step.changes.taken_signals.append(signal)


def _judge(step: Step, task: TaskState, child: TaskState | None) -> None:
    """Ask the condition about the signal in hand. It stays in hand when it ends the wait."""
    inbox = task.input["inbox"]
    signal = step.run.signals[inbox[0] - 1]
    step.touch(task)
    refusal = _refusal(task, signal, child)
    if refusal is not None:
        inbox.pop(0)
        task.output = {
            **task.output,
            "ignored": task.output.get("ignored", 0) + 1,
            "last_ignored": {"signal_id": signal.id, "reason": refusal},
        }
        return
    output = {
        "wait_status": "completed",
        "signal": context.signal_view(signal),
        "processor_output": None if child is None else child.output,
    }
    try:
        step.succeed(task, output, output)
    except InvalidInput as error:
        step.fail(task, failure("INVALID_OUTPUT", error.message), output=output)


def _refusal(task: TaskState, signal: Signal, child: TaskState | None) -> str | None:
    """Return why the condition does not accept *signal*, or None when it does.

    A signal that lacks what the condition names is no reason to end the wait: the next may have it.
    """
    try:
        accepted = task.node.condition.evaluate(context.of_signal(task, signal, child))
    except InvalidInput as error:
        return error.message
    return None if accepted is True else "the condition is not true"


def _name(step: Step, task: TaskState) -> str:
    template = task.node.wait_for
    name = template.text(context.of_task(task), step.environment(task)).strip() if template else ""
    if not name:
        msg = "the name of the signal to wait for is empty"
        raise InvalidInput(msg)
    return name


def _timeout(step: Step, task: TaskState) -> Json:
    template = task.node.wait_timeout
    if template is None:
        return None
    seconds = parse_duration(template.text(context.of_task(task), step.environment(task)))
    if seconds <= 0:
        msg = "the timeout of a wait must be longer than 0"
        raise InvalidInput(msg)
    return seconds
