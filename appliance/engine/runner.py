"""Drives runs: feeds events to the reducer, has the changes stored, then begins the work they name.

Everything here happens on one event loop, so a run never sees two events at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import msgspec
import structlog

from appliance import clock, ids
from appliance.clock import MICROSECONDS
from appliance.engine import recovery
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
from appliance.engine.journal import RETRY_AFTER, Journal
from appliance.engine.program import Program, compile_program, source_of
from appliance.engine.reducer import advance
from appliance.engine.run import Run, Surroundings, TaskState
from appliance.errors import ApplianceError, Conflict, NotFound, OutcomeUnknown, Unavailable
from appliance.language.model import Json, Project
from appliance.store.database import Database
from appliance.tools.pool import ToolCall, ToolFailure, ToolOutcome, ToolPool, ToolRequest

STABLE_AFTER = 60.0
"""Seconds without a crash after which recovered runs are no longer under suspicion."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Live:
    """A run that has not ended, with the work that is under way for it."""

    run: Run
    started: asyncio.Future[None]
    ended: asyncio.Future[None]
    calls: dict[int, ToolCall] = field(default_factory=dict)
    timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict)

    def stop(self) -> None:
        """End all work for the run; nothing is stored."""
        for call in self.calls.values():
            call.kill()
        for timer in self.timers.values():
            timer.cancel()
        self.calls.clear()
        self.timers.clear()


class Engine:
    """Runs the workflows of a project. Methods are for the event loop that opened it."""

    def __init__(self, database: Database, project: Project, pool: ToolPool) -> None:
        self._database = database
        self._pool = pool
        self._timeout = project.runtime.timeout
        self._around = Surroundings(project.name, project.env)
        self.programs = {
            name: compile_program(source_of(workflow))
            for name, workflow in project.workflows.items()
        }
        self._live: dict[str, Live] = {}
        self._take_ups: set[asyncio.Task[None]] = set()
        self._closing = False
        self.counts: Counter[str] = Counter()
        """How many runs were STARTED, and how many ended in each state, since the server began."""

    async def open(self, *, resume: bool = True) -> int:
        """Store the definitions and return how many runs that have not ended were taken up.

        Without *resume* that is none: they are left to another process.
        """
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(self._database, self._stored, self._refused)
        await recovery.keep_definitions(self._database, self.programs.values())
        if resume:
            async for run in recovery.interrupted(self._database, self._around):
                self._adopt(run)
                self._deliver(run, Recover(clock.now_us()))
        if self._live:
            self._stability = self._loop.call_later(STABLE_AFTER, self._trust)
        return len(self._live)

    async def close(self, grace_s: float = 0.0) -> None:
        """Begin nothing new, wait up to *grace_s* for what is under way, then stop.

        What did not finish is taken up by the next server.
        """
        self._closing = True
        self._trust()  # an orderly stop is no sign against the runs that it cuts off
        deadline = clock.monotonic() + grace_s
        # Polled, for this happens once: the loop ends with the last commit or at the deadline.
        while self._busy() and clock.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for live in self._live.values():
            live.stop()

    def _busy(self) -> bool:
        return not self._journal.idle or any(live.calls for live in self._live.values())

    @property
    def active(self) -> int:
        """How many runs have not ended."""
        return len(self._live)

    @property
    def calls(self) -> int:
        """How many tool calls are under way or waiting for a process."""
        return sum(len(live.calls) for live in self._live.values())

    def program(self, workflow_id: str) -> Program:
        """Return the program of a workflow of the project. Raises NotFound."""
        try:
            return self.programs[workflow_id]
        except KeyError:
            known = ", ".join(sorted(self.programs))
            msg = f"there is no workflow {workflow_id!r}; this project has: {known}"
            raise NotFound(msg) from None

    async def start(
        self,
        program: Program,
        run_input: Json,
        *,
        started_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Begin a run and return its id once that is durable. *run_input* is valid already.

        Raises Conflict when the idempotency key is taken, and the errors of `Database.write`.
        """
        if self._closing:
            msg = "the server is stopping; try again when it is back"
            raise Unavailable(msg)
        run = Run(program, ids.new_id(), run_input, clock.now_us(), self._around)
        run.started_by, run.idempotency_key = started_by, idempotency_key
        live = self._adopt(run)
        self._deliver(run, Start(run.created_at))
        await live.started
        return run.id

    async def wait(self, exec_id: str, timeout_s: float) -> bool:
        """Wait until a run has ended, at most *timeout_s*. Return whether it has."""
        live = self._live.get(exec_id)
        if live is None:
            return True
        done, _ = await asyncio.wait([live.ended], timeout=timeout_s)
        return bool(done)

    async def cancel(self, exec_id: str) -> None:
        """Stop a run and everything it is doing. Return once that is durable.

        Raises NotFound, or Conflict when the run has ended already.
        """
        live = self._live.get(exec_id)
        if live is None:
            run = await recovery.load_run(self._database, exec_id, self._around)
            if run.ended:
                msg = f"run {exec_id} has ended already ({run.status})"
                raise Conflict(msg)
            live = self._adopt(run)
        self._deliver(live.run, Cancel(clock.now_us()))
        await asyncio.shield(live.ended)

    # -- events in, work out ----------------------------------------------------------------------

    def _adopt(self, run: Run) -> Live:
        live = Live(run, self._loop.create_future(), self._loop.create_future())
        self._live[run.id] = live
        return live

    def _deliver(self, run: Run, event: Event) -> None:
        changes = self._journal.changes(run)
        try:
            advance(run, event, changes)
        except Exception as error:
            # A defect in the engine must end this run alone, and not leave it half changed.
            log.exception("run.broken", exec_id=run.id)
            self._give_up(run, error, Broken(event.now_us, f"{type(error).__name__}: {error}"))

    def _stored(self, changes: Changes) -> None:
        run = changes.run
        live = self._live.get(run.id)
        if live is None or live.run is not run:
            return
        for task in changes.kills:
            call = live.calls.pop(task.seq, None)
            if call is not None:
                call.kill()
        if not self._closing:
            self._begin_work(live, changes)
        if not live.started.done():
            live.started.set_result(None)
            self.counts["STARTED"] += run.version == 1
        if run.ended and not self._journal.holds(run):
            self._retire(live)

    def _begin_work(self, live: Live, changes: Changes) -> None:
        for task in changes.calls:
            if task.status == "RUNNING":
                self._call(live, task)
        for task in changes.timers:
            if task.wake_at is not None:
                self._set_timer(live, task, task.wake_at)

    def _retire(self, live: Live) -> None:
        del self._live[live.run.id]
        live.stop()
        self.counts[live.run.status] += 1
        if not live.ended.done():
            live.ended.set_result(None)

    def _refused(self, changes: Changes, error: BaseException) -> None:
        log.error("run.refused", exec_id=changes.run.id, error=str(error))
        self._give_up(changes.run, error, Recover(clock.now_us()))

    def _give_up(self, run: Run, error: BaseException, then: Event) -> None:
        """Drop a run from memory and take it up again as it was last stored, with *then*."""
        self._journal.forget(run)
        live = self._live.pop(run.id, None)
        if live is None:
            return
        live.stop()
        for waiter in (live.started, live.ended):
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()
        if run.version or isinstance(error, OutcomeUnknown):
            self._take_ups.add(task := self._loop.create_task(self._take_up(run.id, then)))
            task.add_done_callback(self._take_ups.discard)

    async def _take_up(self, exec_id: str, event: Event) -> None:
        run = await self._load(exec_id)
        if run is not None and not run.ended and exec_id not in self._live:
            self._adopt(run)
            self._deliver(run, event)

    async def _load(self, exec_id: str) -> Run | None:
        """Return a run as it was stored, when the database is back; None when it never was."""
        while not self._closing:
            try:
                return await recovery.load_run(self._database, exec_id, self._around)
            except Unavailable:
                await asyncio.sleep(RETRY_AFTER)
            except ApplianceError as error:
                log.warning("run.not_taken_up", exec_id=exec_id, error=error.message)
                break
        return None

    def _trust(self) -> None:
        for live in list(self._live.values()):
            if live.run.recoveries:
                self._deliver(live.run, Stable(clock.now_us()))

    # -- tools ------------------------------------------------------------------------------------

    def _call(self, live: Live, task: TaskState) -> None:
        run, attempt = live.run, task.attempt
        request = ToolRequest(
            tool=task.node.tool_id,
            arguments=msgspec.json.encode(task.input),
            context={
                "workflow_exec_id": run.id,
                "workflow_id": run.program.id,
                "task_exec_id": task.id,
                "task_id": task.task_id,
                "attempt": attempt,
            },
            timeout=task.node.timeout or self._timeout,
            env={**run.env, **task.node.env},
        )
        live.calls[task.seq] = self._pool.submit(
            request, lambda outcome: self._called(live, task.seq, attempt, outcome)
        )

    def _called(self, live: Live, seq: int, attempt: int, outcome: ToolOutcome) -> None:
        live.calls.pop(seq, None)
        self._deliver(live.run, _event_of(outcome, seq, attempt))

    # -- timers -----------------------------------------------------------------------------------

    def _set_timer(self, live: Live, task: TaskState, wake_at: int) -> None:
        """Wake *task* later. A wall clock that jumped back must not stretch its time."""
        asked = wake_at - task.updated_at
        left = min(max(wake_at - clock.now_us(), 0), asked)
        earlier = live.timers.pop(task.seq, None)
        if earlier is not None:
            earlier.cancel()
        live.timers[task.seq] = self._loop.call_later(
            left / MICROSECONDS, self._wake, live, task.seq, task.attempt
        )

    def _wake(self, live: Live, seq: int, attempt: int) -> None:
        live.timers.pop(seq, None)
        self._deliver(live.run, TimerFired(clock.now_us(), seq, attempt))


def _event_of(outcome: ToolOutcome, seq: int, attempt: int) -> Succeeded | Failed:
    now_us = clock.now_us()
    if not isinstance(outcome, ToolFailure):
        return Succeeded(now_us, seq, attempt, msgspec.json.decode(outcome.output))
    error = {"code": outcome.code, "message": outcome.message, "details": outcome.details}
    return Failed(now_us, seq, attempt, error, outcome.retryable)
