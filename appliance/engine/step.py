"""One event on its way through a run: how tasks begin, end and follow each other.

Nothing here reads a clock, does I/O or draws randomness but what the event and the run's ids give it.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from operator import attrgetter

from appliance.clock import MICROSECONDS
from appliance.engine import context, groups, history, outcome, waits
from appliance.engine.changes import Changes
from appliance.engine.outcome import failure
from appliance.engine.program import CALLS, GROUPS, Node, conform
from appliance.engine.run import Run, TaskState
from appliance.engine.status import TERMINAL, Status
from appliance.errors import InvalidInput
from appliance.language.model import Json
from appliance.language.template import Environment


class Step:
    """What one event leads to. `todo` replaces recursion: groups may be huge."""

    def __init__(self, run: Run, now_us: int, changes: Changes) -> None:
        self.run = run
        self.now_us = now_us
        self.changes = changes
        self.todo: deque[tuple[Callable[[TaskState], None], TaskState]] = deque()

    def settle(self) -> None:
        """Follow every consequence until only work outside is left."""
        while self.todo:
            action, task = self.todo.popleft()
            action(task)
        if self.run.status in ("RUNNING", "WAITING"):
            status: Status = "WAITING" if self.run.waiting else "RUNNING"
            if status != self.run.status:
                self.change_run(status)

    # -- the life of a task -----------------------------------------------------------------------

    def begin(self, node: Node, parent: TaskState | None, position: int, name: str = "") -> None:
        """Begin an execution of *node*, after its `sleep`. A paused run holds it back."""
        task = self.run.add(node, name or node.task.id, parent, position)
        task.created_at = self.now_us
        if self.run.status == "PAUSED":
            self.hold(task)
        elif node.task.sleep > 0:
            self.sleep(task, node.task.sleep)
        else:
            self.todo.append((self.enter, task))

    def hold(self, task: TaskState) -> None:
        """Keep *task* from going on until `go_on`: until there is room for it, or the run resumes."""
        task.status, task.wake_at = "PENDING", None
        self.touch(task)
        if task.parent is not None and task.parent.node.type in GROUPS:
            insort(task.parent.held, task, key=attrgetter("position"))

    def go_on(self, task: TaskState) -> None:
        """Begin again what was held back or reopened, where it stopped."""
        if task.status in TERMINAL:
            return
        if task.children and task.node.type in GROUPS:
            task.status = "RUNNING"
            self.touch(task)
            self.open_group(task)
        elif task.input is not None and task.node.type in CALLS:
            self.call(task)
        else:
            self.enter(task)

    def sleep(self, task: TaskState, seconds: float) -> None:
        """Let *task* wait a while before it goes on."""
        task.status = "PENDING"
        self.wake_after(task, seconds)

    def wake_after(self, task: TaskState, seconds: float) -> None:
        """Set the time that *task* is looked at again."""
        task.wake_at = self.now_us + round(seconds * MICROSECONDS)
        self.touch(task)
        self.set_timer(task, task.wake_at)

    def set_timer(self, task: TaskState, wake_at: int) -> None:
        """Have *task* woken. A wall clock that jumped back since must not stretch its time."""
        left = min(max(wake_at - self.now_us, 0), wake_at - task.updated_at)
        self.changes.timers.append((task, left / MICROSECONDS))

    def enter(self, task: TaskState) -> None:
        """Begin the work of *task*."""
        if task.status in TERMINAL:
            return
        task.status = "RUNNING"
        self.touch(task)
        try:
            _ENTER[task.node.type](self, task)
        except InvalidInput as error:
            self.fail(task, failure("INVALID_INPUT", error.message))

    def open_group(self, task: TaskState) -> None:
        """Begin the chains of a group, and its time."""
        if task.node.timeout:
            self.wake_after(task, task.node.timeout)
        self.continue_group(task)

    def render_input(self, task: TaskState) -> None:
        """Give *task* what its `with` says now."""
        with_ = task.node.with_
        if with_ is None:
            task.input = {}
        elif with_.constant:
            task.input = with_.render({}, NOWHERE)
        else:
            task.input = with_.render(context.of_task(task), self.environment(task))

    def call(self, task: TaskState) -> None:
        """Have an executor do the work of *task*."""
        task.status = "RUNNING"
        self.touch(task)
        self.changes.calls.append(task)

    def succeed(self, task: TaskState, output: Json, visible: Json) -> None:
        """End *task* well. Templates of its `outputs` see *visible* as `.output`."""
        if task.node.outputs is not None:
            variables = context.of_task(task, visible)
            output = task.node.outputs.render(variables, self.environment(task))
        task.output, task.error = conform(output, task.node.output_schemas), None
        self._end(task, "SUCCESS")

    def fail(
        self,
        task: TaskState,
        error: dict[str, Json],
        *,
        status: Status = "FAILED",
        output: Json = None,
    ) -> None:
        """End *task* badly."""
        task.error, task.output = error, output
        self._end(task, status)

    def _end(self, task: TaskState, status: Status) -> None:
        task.status, task.wake_at = status, None
        self.touch(task)
        self.todo.append((self.leave, task))

    def may_retry(self, task: TaskState, error: dict[str, Json]) -> bool:
        """Whether *task* may be tried again after *error*."""
        names = {error["code"], error.get("details", {}).get("type")}
        policy = task.node.retry
        return (
            task.retries + 1 < policy.maximum_attempts
            and not names.intersection(policy.non_retryable_error_types)
            and self._has_time(task)
        )

    def _has_time(self, task: TaskState) -> bool:
        """Whether another attempt would begin before `schedule_to_close_timeout` is over."""
        deadline = task.deadline
        return deadline is None or self.now_us + self._delay(task) * MICROSECONDS < deadline

    def _delay(self, task: TaskState) -> float:
        policy = task.node.retry
        delay = policy.initial_interval * policy.backoff_coefficient**task.retries
        return min(delay, policy.maximum_interval)

    def retry(self, task: TaskState, error: dict[str, Json]) -> None:
        """Try *task* again later."""
        delay = self._delay(task)
        task.error = error
        task.retries += 1
        task.attempt += 1
        self.sleep(task, delay)

    def time_out(self, task: TaskState) -> None:
        """End a group that took too long."""
        self.cancel_below(task)
        message = f"the task did not end within {task.node.timeout:g} s"
        self.fail(task, failure("TIMEOUT", message), status="TIMED_OUT")

    # -- what follows -----------------------------------------------------------------------------

    def leave(self, task: TaskState) -> None:
        """Go from an ended task to its successor, or end the chain it was in."""
        parent = task.parent
        if self.run.ended or (parent is not None and parent.status in TERMINAL):
            return
        following = outcome.transition(task)
        if following is not None:
            name = following.task.id
            if parent is not None and parent.node.type == "collection":
                name = f"{name}-{task.position}"
            self.begin(following, parent, task.position, name)
        elif parent is None:
            self.finish_run(task)
        elif parent.node.type == "wait":
            waits.processed(self, parent, task)
        else:
            parent.tally["success" if task.status == "SUCCESS" else "failed"] += 1
            self.continue_group(parent)

    def continue_group(self, group: TaskState) -> None:
        """Begin more of a group, or end it."""
        verdict = groups.verdict(group)
        if verdict is None:
            self._start_chains(group)
            return
        self.cancel_below(group)
        if verdict == "SUCCESS":
            try:
                self.succeed(group, groups.output_of(group), groups.outputs_of(group))
            except InvalidInput as error:
                self.fail(group, failure("INVALID_OUTPUT", error.message))
        else:
            self.fail(group, groups.failure_of(group), output=groups.output_of(group))

    def _start_chains(self, group: TaskState) -> None:
        if self.run.status == "PAUSED":
            return
        limit = groups.chain_limit(group.node) or groups.MAX_ITEMS
        expected = groups.expected_chains(group)
        try:
            while group.open_chains < limit:
                if group.held:
                    self.todo.append((self.go_on, group.held.pop(0)))
                elif group.next_position < expected:
                    self._start_chain(group)
                else:
                    return
        except InvalidInput as error:
            self.cancel_below(group)
            self.fail(group, failure("INVALID_INPUT", error.message))

    def _start_chain(self, group: TaskState) -> None:
        position = group.next_position
        if group.node.type == "collection":
            name = groups.child_id(group, self.environment(group))
            self.begin(group.node.sequence[0], group, position, name)
        else:
            self.begin(group.node.sequence[position], group, position)
        group.next_position += 1

    def cancel_below(self, group: TaskState) -> None:
        """Stop everything inside of *group*."""
        for child in group.children:
            self.cancel(child)

    def cancel(self, task: TaskState) -> None:
        """Stop *task* and everything inside of it."""
        if task.status in TERMINAL:
            return
        if task.status == "RUNNING" and task.node.type in CALLS:
            self.changes.kills.append(task)
        task.status, task.wake_at = "CANCELED", None
        self.touch(task)
        self.cancel_below(task)

    def finish_run(self, last: TaskState) -> None:
        """End the run as its *last* task ended."""
        if last.status != "SUCCESS":
            assert last.error is not None
            message = f"task {last.task_id} failed: {last.error['message']}"
            self._fail_run({**last.error, "message": message})
            return
        try:
            self.run.output = self._run_output(last)
        except InvalidInput as error:
            self._fail_run(failure("INVALID_OUTPUT", error.message))
            return
        self.change_run("SUCCESS")

    def _run_output(self, last: TaskState) -> Json:
        outputs = self.run.program.outputs
        if outputs is None:
            return {task.task_id: {"output": task.output} for task in self.run.top}
        return outputs.render(context.of_run(self.run), self.environment(last))

    def _fail_run(self, error: dict[str, Json]) -> None:
        self.run.error = error
        self.change_run("FAILED")

    def change_run(self, status: Status) -> None:
        """Move the run to *status* and note that its row has changed."""
        run = self.run
        run.status = status
        run.updated_at = self.now_us
        self.changes.run_changed = True
        if history.keep(run.history, status, 1, run.moments + 1, self.now_us):
            run.moments += 1
            self.changes.events.append(history.of_run(run, run.history[-1]))

    def touch(self, task: TaskState) -> None:
        """Note that *task* has changed, and its change of state."""
        run = self.run
        task.updated_at = self.now_us
        self.changes.tasks[task.seq] = task
        if history.keep(task.history, task.status, task.attempt, run.moments + 1, self.now_us):
            run.moments += 1
            self.changes.events.append(history.of_task(task, task.history[-1]))
            (run.waiting.add if task.status == "WAITING" else run.waiting.discard)(task.seq)

    def environment(self, task: TaskState) -> Environment:
        """Return the time and the seed that the templates of *task* see."""
        return Environment(self.now_us, (self.run.id, task.seq, task.attempt))


NOWHERE = Environment(0, "")
"""For values without templates."""


def _enter_call(step: Step, task: TaskState) -> None:
    step.render_input(task)
    if task.node.task.takes_input:
        task.input = {**task.input, **step.run.input}
    task.input = conform(task.input, task.node.input_schemas)
    step.call(task)


def _enter_router(step: Step, task: TaskState) -> None:
    step.render_input(task)
    taken = outcome.text_of(outcome.condition_of(task, step.environment(task)))
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
    step.succeed(task, output, output)


def _enter_aggregate(step: Step, task: TaskState) -> None:
    step.succeed(task, {}, {})


def _enter_group(step: Step, task: TaskState) -> None:
    step.render_input(task)
    step.open_group(task)


def _enter_collection(step: Step, task: TaskState) -> None:
    step.render_input(task)
    task.input = groups.collection_input(task, step.environment(task))
    step.open_group(task)


_ENTER: dict[str, Callable[[Step, TaskState], None]] = {
    "basic": _enter_call,
    "signal": _enter_call,
    "memory": _enter_call,
    "router": _enter_router,
    "aggregate": _enter_aggregate,
    "collection": _enter_collection,
    "parallel": _enter_group,
    "composite": _enter_group,
    "wait": waits.enter,
}
assert _ENTER.keys() >= GROUPS | CALLS
