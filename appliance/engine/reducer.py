"""What a run does next. Everything the engine decides is decided here.

`advance` reads no clock, does no I/O and draws no randomness but what the event and the run's ids
give it, so a run can be simulated and replayed. It changes the run in memory; the runner stores the
changes in one transaction before it begins the work they name, and throws the run away if it cannot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from appliance.clock import MICROSECONDS
from appliance.engine import context, groups
from appliance.engine.changes import (
    Broken,
    Cancel,
    Changes,
    Event,
    Failed,
    Recover,
    Stable,
    Start,
    Succeeded,
    TimerFired,
)
from appliance.engine.program import GROUPS, Node, conform
from appliance.engine.run import Run, TaskState
from appliance.engine.status import FAILURES, TERMINAL, Status
from appliance.errors import InvalidInput
from appliance.language import expressions
from appliance.language.model import Json
from appliance.language.template import Environment


def advance(run: Run, event: Event, changes: Changes | None = None) -> Changes:
    """Apply *event* to *run*. Return the changes, added to *changes* where given.

    An event that came too late (an old attempt, a task or run that has ended) changes nothing.
    """
    changes = Changes(run) if changes is None else changes
    if not run.ended:
        step = _Step(run, event.now_us, changes)
        _HANDLERS[type(event)](step, event)
        step.settle()
    return changes


class _Step:
    """One event on its way through a run. `_todo` replaces recursion: groups may be huge."""

    def __init__(self, run: Run, now_us: int, changes: Changes) -> None:
        self.run = run
        self.now_us = now_us
        self.changes = changes
        self._todo: deque[tuple[Callable[[TaskState], None], TaskState]] = deque()

    def settle(self) -> None:
        """Follow every consequence until only work outside is left."""
        while self._todo:
            action, task = self._todo.popleft()
            action(task)

    # -- events ---------------------------------------------------------------------------------

    def on_start(self, _event: Start) -> None:
        self._change_run("RUNNING")
        self._begin(self.run.program.first, None, 0)

    def on_succeeded(self, event: Succeeded) -> None:
        task = self.run.task(event.seq)
        if task.status != "RUNNING" or task.attempt != event.attempt:
            return
        problem = _data_failure(event.output)
        if problem is not None:
            self._fail(task, problem, output=event.output)
            return
        try:
            output = conform(event.output, task.node.tool_output)
            self._succeed(task, output, output)
        except InvalidInput as error:
            self._fail(task, _error("INVALID_OUTPUT", error.message), output=event.output)

    def on_failed(self, event: Failed) -> None:
        task = self.run.task(event.seq)
        if task.status != "RUNNING" or task.attempt != event.attempt:
            return
        if event.retryable and self._may_retry(task, event.error):
            self._retry(task, event.error)
        else:
            status: Status = "TIMED_OUT" if event.error["code"] == "TOOL_TIMEOUT" else "FAILED"
            self._fail(task, event.error, status=status)

    def on_timer(self, event: TimerFired) -> None:
        task = self.run.task(event.seq)
        if task.wake_at is None or task.attempt != event.attempt or task.status in TERMINAL:
            return
        task.wake_at = None
        if task.status == "RUNNING":
            self._time_out(task)
        elif task.retries:
            self._call(task)
        else:
            self._todo.append((self._enter, task))

    def on_cancel(self, _event: Cancel) -> None:
        self._stop("CANCELED", _error("CANCELED", "the run was canceled"))

    def on_broken(self, event: Broken) -> None:
        self._stop("FAILED", _error("INTERNAL", f"the engine failed: {event.message}"))

    def _stop(self, status: Status, error: dict[str, Json]) -> None:
        for task in self.run.tasks:
            self._cancel(task)
        self.run.error = error
        self._change_run(status)

    def on_stable(self, _event: Stable) -> None:
        self.run.recoveries = 0
        self._change_run(self.run.status)

    def on_recover(self, _event: Recover) -> None:
        """Begin again what was cut off. A higher attempt fences out a result that comes late."""
        for task in self.run.tasks:
            if task.status in TERMINAL:
                continue
            if task.wake_at is not None:
                self.changes.timers.append(task)
            elif task.node.type == "basic":
                task.attempt += 1
                self._call(task)
        self.run.recoveries += 1
        self._change_run(self.run.status)

    # -- the life of a task -----------------------------------------------------------------------

    def _begin(self, node: Node, parent: TaskState | None, position: int, name: str = "") -> None:
        task = self.run.add(node, name or node.task.id, parent, position)
        task.created_at = self.now_us
        if node.task.sleep > 0:
            self._sleep(task, node.task.sleep)
        else:
            self._todo.append((self._enter, task))

    def _sleep(self, task: TaskState, seconds: float) -> None:
        task.status = "PENDING"
        self._wake_after(task, seconds)

    def _wake_after(self, task: TaskState, seconds: float) -> None:
        task.wake_at = self.now_us + round(seconds * MICROSECONDS)
        self.changes.timers.append(task)
        self._touch(task)

    def _enter(self, task: TaskState) -> None:
        if task.status in TERMINAL:
            return
        task.status = "RUNNING"
        self._touch(task)
        try:
            _ENTER[task.node.type](self, task)
        except InvalidInput as error:
            self._fail(task, _error("INVALID_INPUT", error.message))

    def enter_basic(self, task: TaskState) -> None:
        self._render_input(task)
        task.input = conform(task.input, task.node.input_schemas)
        self._call(task)

    def enter_router(self, task: TaskState) -> None:
        self._render_input(task)
        taken = _text(_condition(task, self._environment(task)))
        if taken not in task.node.task.routes:
            known = ", ".join(sorted(task.node.task.routes))
            msg = f"the condition gave {taken!r}, but the routes are: {known}"
            raise InvalidInput(msg)
        task.input = {**task.input, "route_taken": taken}
        output = {
            "condition": task.node.task.condition,
            "route_taken": taken,
            "router_type": "conditional",
        }
        self._succeed(task, output, output)

    def enter_aggregate(self, task: TaskState) -> None:
        self._succeed(task, {}, {})

    def enter_group(self, task: TaskState) -> None:
        self._render_input(task)
        self._open_group(task)

    def enter_collection(self, task: TaskState) -> None:
        self._render_input(task)
        task.input = groups.collection_input(task, self._environment(task))
        self._open_group(task)

    def _open_group(self, task: TaskState) -> None:
        if task.node.timeout:
            self._wake_after(task, task.node.timeout)
        self._continue_group(task)

    def _render_input(self, task: TaskState) -> None:
        with_ = task.node.with_
        if with_ is None:
            task.input = {}
        elif with_.constant:
            task.input = with_.render({}, NOWHERE)
        else:
            task.input = with_.render(context.of_task(task), self._environment(task))

    def _call(self, task: TaskState) -> None:
        task.status = "RUNNING"
        self._touch(task)
        self.changes.calls.append(task)

    def _succeed(self, task: TaskState, output: Json, visible: Json) -> None:
        """End *task* well. Templates of its `outputs` see *visible* as `.output`."""
        if task.node.outputs is not None:
            variables = context.of_task(task, visible)
            output = task.node.outputs.render(variables, self._environment(task))
        task.output, task.error = conform(output, task.node.output_schemas), None
        self._end(task, "SUCCESS")

    def _fail(
        self,
        task: TaskState,
        error: dict[str, Json],
        *,
        status: Status = "FAILED",
        output: Json = None,
    ) -> None:
        task.error, task.output = error, output
        self._end(task, status)

    def _end(self, task: TaskState, status: Status) -> None:
        task.status, task.wake_at = status, None
        self._touch(task)
        self._todo.append((self._leave, task))

    def _may_retry(self, task: TaskState, error: dict[str, Json]) -> bool:
        names = {error["code"], error.get("details", {}).get("type")}
        return task.retries + 1 < task.node.retry.maximum_attempts and not names.intersection(
            task.node.retry.non_retryable_error_types
        )

    def _retry(self, task: TaskState, error: dict[str, Json]) -> None:
        policy = task.node.retry
        delay = policy.initial_interval * policy.backoff_coefficient**task.retries
        task.error = error
        task.retries += 1
        task.attempt += 1
        self._sleep(task, min(delay, policy.maximum_interval))

    def _time_out(self, task: TaskState) -> None:
        self._cancel_below(task)
        message = f"the task did not end within {task.node.timeout:g} s"
        self._fail(task, _error("TIMEOUT", message), status="TIMED_OUT")

    # -- what follows -----------------------------------------------------------------------------

    def _leave(self, task: TaskState) -> None:
        """Go from an ended task to its successor, or end the chain it was in."""
        parent = task.parent
        if self.run.ended or (parent is not None and parent.status in TERMINAL):
            return
        following = _transition(task)
        if following is not None:
            name = following.task.id
            if parent is not None and parent.node.type == "collection":
                name = f"{name}-{task.position}"
            self._begin(following, parent, task.position, name)
        elif parent is None:
            self._finish_run(task)
        else:
            parent.tally["success" if task.status == "SUCCESS" else "failed"] += 1
            self._continue_group(parent)

    def _continue_group(self, group: TaskState) -> None:
        outcome = groups.verdict(group)
        if outcome is None:
            self._start_chains(group)
            return
        self._cancel_below(group)
        if outcome == "SUCCESS":
            try:
                self._succeed(group, groups.output_of(group), groups.outputs_of(group))
            except InvalidInput as error:
                self._fail(group, _error("INVALID_OUTPUT", error.message))
        else:
            self._fail(group, groups.failure_of(group), output=groups.output_of(group))

    def _start_chains(self, group: TaskState) -> None:
        limit = groups.chain_limit(group.node) or groups.MAX_ITEMS
        expected = groups.expected_chains(group)
        while group.next_position < expected and group.open_chains < limit:
            position = group.next_position
            if group.node.type == "collection":
                try:
                    name = groups.child_id(group, self._environment(group))
                except InvalidInput as error:
                    self._cancel_below(group)
                    self._fail(group, _error("INVALID_INPUT", error.message))
                    return
                self._begin(group.node.sequence[0], group, position, name)
            else:
                self._begin(group.node.sequence[position], group, position)
            group.next_position += 1

    def _cancel_below(self, group: TaskState) -> None:
        for child in group.children:
            self._cancel(child)

    def _cancel(self, task: TaskState) -> None:
        if task.status in TERMINAL:
            return
        if task.status == "RUNNING" and task.node.type == "basic":
            self.changes.kills.append(task)
        task.status, task.wake_at = "CANCELED", None
        self._touch(task)
        self._cancel_below(task)

    def _finish_run(self, last: TaskState) -> None:
        if last.status != "SUCCESS":
            assert last.error is not None
            message = f"task {last.task_id} failed: {last.error['message']}"
            self._fail_run({**last.error, "message": message})
            return
        try:
            self.run.output = self._run_output(last)
        except InvalidInput as error:
            self._fail_run(_error("INVALID_OUTPUT", error.message))
            return
        self._change_run("SUCCESS")

    def _run_output(self, last: TaskState) -> Json:
        outputs = self.run.program.outputs
        if outputs is None:
            return {task.task_id: {"output": task.output} for task in self.run.top}
        return outputs.render(context.of_run(self.run), self._environment(last))

    def _fail_run(self, error: dict[str, Json]) -> None:
        self.run.error = error
        self._change_run("FAILED")

    def _change_run(self, status: Status) -> None:
        self.run.status = status
        self.run.updated_at = self.now_us
        self.changes.run_changed = True

    def _touch(self, task: TaskState) -> None:
        task.updated_at = self.now_us
        self.changes.tasks[task.seq] = task

    def _environment(self, task: TaskState) -> Environment:
        return Environment(self.now_us, f"{task.id}/{task.attempt}")


NOWHERE = Environment(0, "")
"""For values without templates."""
_HANDLERS: dict[type[Event], Callable[[_Step, Any], None]] = {
    Start: _Step.on_start,
    Succeeded: _Step.on_succeeded,
    Failed: _Step.on_failed,
    TimerFired: _Step.on_timer,
    Cancel: _Step.on_cancel,
    Recover: _Step.on_recover,
    Stable: _Step.on_stable,
    Broken: _Step.on_broken,
}
_ENTER: dict[str, Callable[[_Step, TaskState], None]] = {
    "basic": _Step.enter_basic,
    "router": _Step.enter_router,
    "aggregate": _Step.enter_aggregate,
    "collection": _Step.enter_collection,
    "parallel": _Step.enter_group,
    "composite": _Step.enter_group,
}
assert _ENTER.keys() >= GROUPS


def _transition(task: TaskState) -> Node | None:
    """Return the node that follows an ended task, or None where its chain ends."""
    node = task.node
    if node.task.final:
        return None
    if task.status == "SUCCESS":
        taken = node.task.on_success.next
        if node.type == "router":
            taken = node.task.routes[task.input["route_taken"]]
    elif task.status in FAILURES:
        taken = node.task.on_error.next
    else:
        return None
    return None if taken is None else node.scope[taken]


def _condition(task: TaskState, environment: Environment) -> Json:
    condition = task.node.condition
    variables = context.of_task(task)
    if task.node.condition_text is not None:
        text = task.node.condition_text.text(variables, environment)
        condition = expressions.compile_expression(text)
    return condition.evaluate(variables)


def _data_failure(output: Json) -> dict[str, Json] | None:
    """Return the error that a tool reported in its output, or None when it did well."""
    if not isinstance(output, dict) or not (output.get("error") or output.get("success") is False):
        return None
    reported = output.get("error") or "the tool reported success: false"
    if isinstance(reported, dict):
        message = str(reported.get("message") or reported)
        return _error(str(reported.get("code") or "TASK_FAILED"), message)
    return _error("TASK_FAILED", str(reported))


def _text(value: Json) -> str:
    """Return the text that a condition's result is looked up by."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "null" if value is None else str(value)


def _error(code: str, message: str) -> dict[str, Json]:
    return {"code": code, "message": message, "details": {}}
