"""Drives runs: feeds events to the reducer, has the changes stored, then begins the work they name.

Everything here happens on one event loop, so a run never sees two events at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from appliance import clock
from appliance.background import Background
from appliance.clock import MICROSECONDS
from appliance.cluster.membership import Membership
from appliance.engine.admission import Admission
from appliance.engine.changes import (
    Broken,
    Changes,
    Event,
    Failed,
    Recover,
    Stable,
    Start,
    Succeeded,
    TimerFired,
)
from appliance.engine.feed import Feed
from appliance.engine.journal import RETRY_AFTER, Journal
from appliance.engine.outcome import failure
from appliance.engine.reducer import advance
from appliance.engine.run import Run, StoredRun, TaskState
from appliance.errors import (
    ApplianceError,
    Fenced,
    InvalidInput,
    OutcomeUnknown,
    StorageBroken,
    Unavailable,
)
from appliance.failpoint import failpoint
from appliance.store.database import Database
from appliance.tools.calls import Call, Executor, ToolFailure, ToolOutcome, ToolRequest
from appliance.tools.native import IN_SERVER

EVERY_RUN = "*"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Live:
    """A run in memory, with the work that is under way for it."""

    run: Run
    calls: dict[int, Call] = field(default_factory=dict)
    timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict)

    def stop(self) -> None:
        """End all work for the run; nothing is stored."""
        for call in self.calls.values():
            call.kill()
        for timer in self.timers.values():
            timer.cancel()
        self.calls.clear()
        self.timers.clear()


class Driver:
    """Holds the runs that are in memory.

    *node* holds them for this server; *read* returns a run as it is stored; *executors* run what
    tasks call, by the type of the task.
    `default_timeout` is in seconds, for calls that nobody gave a time; tools in `timeouts` have
    one of their own.
    """

    def __init__(
        self,
        node: Membership,
        admission: Admission,
        executors: Mapping[str, Executor],
        read: Callable[[str], Coroutine[Any, Any, Run]],
    ) -> None:
        self._node = node
        self._admission = admission
        self._executors = executors
        self.read = read
        self.on_line: Callable[[Run], None] = self._line_up
        """Called with a run for which there is no room now."""
        self.on_room: Callable[[], None] = lambda: None
        """Called when there may be room for one more."""
        self.default_timeout = 60.0
        self.timeouts: dict[str, float] = {}
        self.feed = Feed()
        self.live: dict[str, Live] = {}
        self.wanted: dict[str, float] = {}
        """Runs that are watched at other servers, or `EVERY_RUN`, and until when (monotonic seconds)."""
        self._watchers: dict[str, set[asyncio.Future[StoredRun]]] = {}
        self.counts: Counter[str] = Counter()
        """How many runs were STARTED, and how many ended in each state, since the server began."""
        self._work = Background()
        self._closing = False

    def open(self, database: Database) -> None:
        """Begin to drive runs on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(database, self._node, self._stored, self._refused)

    async def close(self, grace_s: float) -> None:
        """Begin nothing new, wait up to *grace_s* for what is under way, then stop."""
        self._closing = True
        deadline = clock.monotonic() + grace_s
        # Polled, for this happens once: the loop ends with the last commit or at the deadline.
        while self._busy() and clock.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for live in self.live.values():
            live.stop()

    def drop(self) -> None:
        """Let go of every run, with all work for it; nothing of it is stored."""
        for live in list(self.live.values()):
            self._give_up(live.run, Fenced(), Recover(clock.now_us()))
        self._admission.clear()
        self.wanted.clear()

    def _busy(self) -> bool:
        return not self._journal.idle or any(live.calls for live in self.live.values())

    @contextmanager
    def watch(self, exec_id: str) -> Iterator[asyncio.Future[StoredRun]]:
        """Give a future of what is stored of the run *exec_id* once it ends, in memory or not."""
        watcher = self._loop.create_future()
        watchers = self._watchers.setdefault(exec_id, set())
        watchers.add(watcher)
        try:
            yield watcher
        finally:
            watchers.discard(watcher)
            if not watchers and self._watchers.get(exec_id) is watchers:
                del self._watchers[exec_id]

    async def durable(self, run: Run) -> None:
        """Wait until everything that has happened to *run* is stored. Raises why it is not."""
        waiter = self._loop.create_future()
        self._journal.changes(run).waiters.append(waiter)
        await waiter

    def adopt(self, run: Run) -> Live:
        """Hold *run*. Nothing happens until an event is delivered.

        Raises Fenced while this server is cut off from the others.
        """
        if not self._node.is_member:
            raise Fenced
        live = self.live[run.id] = Live(run)
        run.node_id = self._node.node_id
        return live

    def deliver(self, run: Run, event: Event) -> None:
        """Let *event* happen to a run that is held."""
        changes = self._journal.changes(run)
        try:
            advance(run, event, changes)
        except Exception as error:
            # A defect in the engine must end this run alone, and not leave it half changed.
            log.exception("run.broken", exec_id=run.id)
            self._give_up(run, error, Broken(event.now_us, f"{type(error).__name__}: {error}"))

    def _stored(self, changes: Changes) -> None:
        run = changes.run
        self.feed.publish(changes.events)
        if self.wanted and changes.events and (self._wants(run.id) or self._wants(EVERY_RUN)):
            self._node.tell("moved", f"{run.id} {changes.events[0].number}")
        live = self.live.get(run.id)
        if live is not None and live.run is run:
            self._follow(live, changes)
        for waiter in changes.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _wants(self, exec_id: str) -> bool:
        """Whether somebody watches a run elsewhere, as far as was told."""
        wanted = self.wanted.get(exec_id, 0.0) > clock.monotonic()
        if not wanted:
            self.wanted.pop(exec_id, None)
        return wanted

    def _follow(self, live: Live, changes: Changes) -> None:
        """Do what changes that are durable now ask for."""
        run = live.run
        for task in changes.kills:
            call = live.calls.pop(task.seq, None)
            if call is not None:
                call.kill()
        if not self._closing:
            self._begin_work(live, changes)
        self.counts["STARTED"] += changes.run_changed and run.version == 1
        if changes.run_changed:
            self._count(run)
        if self._journal.holds(run):
            return
        if run.ended:
            self._retire(live)
        elif run.status == "PENDING":
            self._put_in_line(live)

    def _count(self, run: Run) -> None:
        """Tell the admission how it is with *run*, and let others in where that made room."""
        if run.ended:
            self._admission.leave(run.id)
        elif run.status in ("WAITING", "PAUSED"):
            self._admission.rest(run.id)
        elif run.status == "RUNNING":
            self._admission.enter(run.id, run.program.id)
        self.admit()

    def _begin_work(self, live: Live, changes: Changes) -> None:
        for task in changes.calls:
            if task.status == "RUNNING":
                self._call_if_sure(live, task)
        for task, seconds in changes.timers:
            if task.wake_at is not None:
                self._set_timer(live, task, seconds)

    def _put_in_line(self, live: Live) -> None:
        del self.live[live.run.id]
        self._admission.leave(live.run.id)
        self.on_line(live.run)

    def _line_up(self, run: Run) -> None:
        self._admission.line_up(run.id, run.program.id)
        self.admit()

    def admit(self) -> None:
        """Let runs begin that are next in line, while there is room."""
        while not self._closing and (exec_id := self._admission.next()) is not None:
            self._work.begin(self._take_up(exec_id, Start(clock.now_us())))
        self.on_room()

    def _retire(self, live: Live) -> None:
        del self.live[live.run.id]
        self.wanted.pop(live.run.id, None)
        live.stop()
        self.counts[live.run.status] += 1
        if live.run.id in self._watchers:
            self.tell_end(live.run.id, live.run.stored())
        live.run.let_go()

    def tell_end(self, exec_id: str, stored: StoredRun) -> None:
        """Tell those who wait for a run that it has ended."""
        for watcher in self._watchers.pop(exec_id, ()):
            if not watcher.done():
                watcher.set_result(stored)

    def _refused(self, changes: Changes, error: BaseException) -> None:
        if not isinstance(error, Fenced):
            log.error("run.refused", exec_id=changes.run.id, error=str(error))
        _fail(changes, error)
        # What is no data would be refused again and again.
        hopeless = isinstance(error, InvalidInput)
        then = Broken(clock.now_us(), str(error)) if hopeless else Recover(clock.now_us())
        self._give_up(changes.run, error, then)

    def _give_up(self, run: Run, error: BaseException, then: Event) -> None:
        """Drop a run from memory and take it up again as it was last stored, with *then*."""
        forgotten = self._journal.forget(run)
        if forgotten is not None:
            _fail(forgotten, error)
        live = self.live.pop(run.id, None)
        if live is None:
            return
        live.stop()
        if isinstance(error, (StorageBroken, Fenced)):
            return  # another server takes the run up, or the next process does
        if run.version or isinstance(error, OutcomeUnknown):
            self._work.begin(self._take_up(run.id, then))
        else:
            self._admission.leave(run.id)
            self.admit()

    async def _take_up(self, exec_id: str, event: Event) -> None:
        """Go on with a run that is not in memory: one that was refused, or is next in line."""
        run = await self._load(exec_id)
        live = self.live.get(exec_id)
        if live is not None:
            run = live.run
        begins = isinstance(event, Start)
        ours = run is not None and not run.ended and self._node.holds(run.node_id)
        if run is None or not ours or begins != (run.status == "PENDING"):
            if begins or live is None:
                self._admission.leave(exec_id)
                self.admit()
            return
        if live is None or begins:
            self.deliver((live or self.adopt(run)).run, event)

    async def _load(self, exec_id: str) -> Run | None:
        """Return a run as it was stored, when the database is back; None when it never was."""
        while not self._closing:
            try:
                return await self.read(exec_id)
            except Unavailable:
                await asyncio.sleep(RETRY_AFTER)
            except ApplianceError as error:
                log.warning("run.not_taken_up", exec_id=exec_id, error=error.message)
                break
        return None

    def trust(self) -> None:
        """Hold nothing against recovered runs any more: the server has lived on with them."""
        for live in list(self.live.values()):
            if live.run.recoveries:
                self.deliver(live.run, Stable(clock.now_us()))

    # -- tools ------------------------------------------------------------------------------------

    def _call_if_sure(self, live: Live, task: TaskState) -> None:
        """Call a tool, unless another server may be about to call it: this one may have been paused."""
        if self._node.sure:
            self._call(live, task)
        else:
            self._work.begin(self._call_when_sure(live, task, task.attempt))

    async def _call_when_sure(self, live: Live, task: TaskState, attempt: int) -> None:
        sure = await self._node.made_sure()
        due = task.status == "RUNNING" and task.attempt == attempt and task.seq not in live.calls
        if sure and due and self.live.get(live.run.id) is live and not self._closing:
            self._call(live, task)

    def _call(self, live: Live, task: TaskState) -> None:
        failpoint("driver.calling")
        run, attempt = live.run, task.attempt
        request = ToolRequest(
            tool=_tool_of(task),
            arguments=msgspec.json.encode(task.input),
            context={
                "workflow_exec_id": run.id,
                "workflow_id": run.program.id,
                "task_exec_id": task.id,
                "task_id": task.task_id,
                "attempt": attempt,
            },
            timeout=self._time_for(task),
            env={**run.env, **task.node.env},
            queue_timeout=task.node.task.queue_timeout,
            max_concurrent=task.node.max_concurrent,
        )
        kind = "internal" if request.tool in IN_SERVER else task.node.type
        executor = self._executors[kind]
        live.calls[task.seq] = executor.submit(
            request, lambda outcome: self._called(live, task.seq, attempt, outcome)
        )

    def _time_for(self, task: TaskState) -> float:
        """Return how many seconds this attempt may take, at least a moment."""
        default = self.timeouts.get(_tool_of(task), self.default_timeout)
        timeout = task.node.timeout or default
        if task.deadline is None:
            return timeout
        return max(min(timeout, (task.deadline - clock.now_us()) / MICROSECONDS), 0.001)

    def _called(self, live: Live, seq: int, attempt: int, outcome: ToolOutcome) -> None:
        failpoint("driver.answered")
        live.calls.pop(seq, None)
        self.deliver(live.run, _event_of(outcome, seq, attempt))

    # -- timers -----------------------------------------------------------------------------------

    def _set_timer(self, live: Live, task: TaskState, seconds: float) -> None:
        """Wake *task* later, by a clock that never jumps."""
        earlier = live.timers.pop(task.seq, None)
        if earlier is not None:
            earlier.cancel()
        live.timers[task.seq] = self._loop.call_later(
            seconds, self._wake, live, task.seq, task.attempt
        )

    def _wake(self, live: Live, seq: int, attempt: int) -> None:
        live.timers.pop(seq, None)
        self.deliver(live.run, TimerFired(clock.now_us(), seq, attempt))


def _fail(changes: Changes, error: BaseException) -> None:
    for waiter in changes.waiters:
        if not waiter.done():
            waiter.set_exception(error)


def _tool_of(task: TaskState) -> str:
    memory = task.node.task.memory
    return memory.operation if memory is not None else task.node.tool_id or task.node.type


def _event_of(outcome: ToolOutcome, seq: int, attempt: int) -> Succeeded | Failed:
    now_us = clock.now_us()
    if not isinstance(outcome, ToolFailure):
        try:
            return Succeeded(now_us, seq, attempt, msgspec.json.decode(outcome.output))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            error = failure("TOOL_OUTPUT", f"what the tool returned is not JSON: {problem}")
            return Failed(now_us, seq, attempt, error, retryable=False)
    error = {"code": outcome.code, "message": outcome.message, "details": outcome.details}
    return Failed(now_us, seq, attempt, error, outcome.retryable)
