"""The tool pool: gives calls of tools to warm processes, as many as the calls need."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.errors import InvalidInput, Overloaded
from appliance.tools.calls import (
    Done,
    ToolCall,
    ToolFailure,
    ToolOutcome,
    ToolRequest,
    ToolResult,
    unavailable,
    waited_too_long,
)
from appliance.tools.gates import Gates
from appliance.tools.nursery import Nursery, Orders
from appliance.tools.worker import PATIENCE, Worker
from appliance.tools.zygote.native.grant import Grant

__all__ = [
    "ToolCall",
    "ToolFailure",
    "ToolOutcome",
    "ToolPool",
    "ToolRequest",
    "ToolResult",
    "ToolRuntime",
]

NO_ENTRYPOINT = "no file of functions is named (runtime.entrypoint)"

SECRETS = frozenset(
    {
        "DATABASE_URL",
        "DB_PASSWORD",
        "DB_CONN_STRING",
        "PGPASSWORD",
        "COMPOZY_API_KEY",
        "SERVER_AUTH_ADMIN_KEY",
    }
)
"""Environment variables of the server that no tool sees."""

FORKS_AT_ONCE = 16

WARM = 2
"""Idle workers that are kept for ever."""

IDLE_LIMIT = 30.0
"""Seconds after which an idle worker beyond `WARM` is retired."""

OPEN_PATIENCE = 10.0
"""Seconds that `open` waits for the entrypoint; a slower one goes on being imported meanwhile."""

FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
"""Seconds before a zygote that died at once is started again."""

STABLE_AFTER = 1.0
"""Seconds of life after which the end of a zygote is taken as an accident."""


class ToolRuntime(msgspec.Struct, frozen=True):
    """How tools are run. `memory_limit` is in bytes of address space for each process, 0 = no bound.

    `env` is added to the environment of the server; the variables named in `secrets` are kept back.
    `language` says what the entrypoint is written for: `python`, `node` or `bun`.
    """

    entrypoint: Path | None
    python: str = sys.executable
    max_processes: int = 64
    memory_limit: int = 1 << 30
    env: dict[str, str] = {}
    secrets: frozenset[str] = frozenset()
    language: str = "python"
    native: Grant | None = None
    """What the native tools may do, for a pool of these, which has no entrypoint."""


class ToolPool:
    """Runs calls, each in a process that runs nothing else meanwhile. For one event loop."""

    def __init__(self, runtime: ToolRuntime) -> None:
        self._runtime = runtime
        self._cores = len(os.sched_getaffinity(0))
        self._nursery: Nursery | None = None
        self._nurseries: set[Nursery] = set()
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._waiting: deque[ToolCall] = deque()
        self._gates = Gates(self._admit)
        self._growth: asyncio.TimerHandle | None = None
        self._retirement: asyncio.TimerHandle | None = None
        self._problem: str | None = None
        self._failures = 0
        self._not_before = 0.0
        self._closed = False

    @property
    def problem(self) -> str | None:
        """Why tools cannot be called, as a clause, or None when they can."""
        if self._nursery is None or self._nursery.ready or self._runtime.entrypoint is None:
            return self._problem
        return f"{self._runtime.entrypoint} is still being imported"

    @property
    def processes(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    @property
    def busy(self) -> int:
        """How many workers are running a call."""
        return sum(worker.call is not None for worker in self._workers)

    @property
    def waiting(self) -> int:
        """How many calls wait to begin."""
        return sum(call.open for call in self._waiting) + self._gates.waiting

    # -- life -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Import the entrypoint in a process of its own. Raises nothing: see `problem`."""
        self._loop = asyncio.get_running_loop()
        if self._runtime.entrypoint is not None:
            self._hatch()
        if self._nursery is not None:
            await asyncio.wait([self._nursery.settled], timeout=OPEN_PATIENCE)

    async def reload(self, runtime: ToolRuntime | None = None) -> None:
        """Import the entrypoint anew for the calls to come; calls under way end in the old one.

        It is imported as *runtime* says, by default as before. Raises InvalidInput when it cannot
        be imported; then the old one goes on.
        """
        runtime = runtime or self._runtime
        fresh = None if runtime.entrypoint is None else await self._imported(runtime)
        self._runtime = runtime
        former, self._nursery = self._nursery, fresh
        if former is not None:
            former.drain()
        if fresh is not None:
            self.ready(fresh)
        else:
            self._problem = None
            self._attend()

    async def _imported(self, runtime: ToolRuntime) -> Nursery:
        try:
            fresh = self._start_nursery(runtime)
        except (OSError, InvalidInput) as error:
            if lack := Overloaded.by(error):
                raise lack from error
            msg = f"The tools were not loaded again: {error}."
            raise InvalidInput(msg) from None
        await fresh.settled
        if not fresh.ready:
            msg = f"The tools were not loaded again: {fresh.reason}."
            raise InvalidInput(msg)
        return fresh

    async def close(self) -> None:
        """Kill every process and return when they are gone. Open calls get no outcome."""
        self._closed = True
        self._gates.clear()
        for call in self._waiting:
            call.kill()
        self._waiting.clear()
        for timer in (self._growth, self._retirement):
            if timer is not None:
                timer.cancel()
        for worker in self._workers:
            if worker.call is not None:
                worker.call.kill()
        await asyncio.gather(*[nursery.destroy() for nursery in list(self._nurseries)])

    # -- calls ------------------------------------------------------------------------------------

    def submit(self, request: ToolRequest, done: Done) -> ToolCall:
        """Begin a call. *done* gets the outcome on the event loop, later, unless the call is killed."""
        call = ToolCall(request, done)
        if call.queue_timeout is not None:
            call.expiry = self._loop.call_later(call.queue_timeout, self._expire, call)
        self._gates.enter(call)
        return call

    def _expire(self, call: ToolCall) -> None:
        call.finish(waited_too_long(call))

    def _admit(self, call: ToolCall) -> None:
        """Give *call* to a worker, now or when one gets free."""
        while self._idle:
            worker = self._idle.pop()
            if not worker.doomed and worker.start(call):
                return
        call.since = self._loop.time()
        self._waiting.append(call)
        self._attend()

    def free(self, worker: Worker) -> None:
        """Give *worker* the call that has waited longest, or keep it for later."""
        if worker.leaving:
            worker.retire()
            return
        while self._waiting:
            call = self._waiting.popleft()
            if call.open:
                if not worker.start(call):
                    self._waiting.appendleft(call)
                return
        worker.since = self._loop.time()
        self._idle.append(worker)
        if self._retirement is None and len(self._idle) > WARM:
            self._retirement = self._loop.call_later(IDLE_LIMIT, self._retire_idle)

    def _forget_killed(self) -> None:
        while self._waiting and not self._waiting[0].open:
            self._waiting.popleft()

    def _refuse_waiting(self, failure: ToolFailure) -> None:
        for call in self._waiting:
            self._loop.call_soon(call.finish, failure)
        self._waiting.clear()

    # -- how many workers -------------------------------------------------------------------------

    def _attend(self) -> None:
        """See to it that something will serve the calls that wait."""
        self._forget_killed()
        if not self._waiting:
            return
        if self._closed:
            self._refuse_waiting(unavailable("the server is stopping"))
        elif not (self._runtime.entrypoint or self._runtime.native):
            self._refuse_waiting(unavailable(NO_ENTRYPOINT, retryable=False))
        elif self._nursery is None:
            self._hatch()
        elif self._nursery.ready and not self._workers:
            self._fork()
        elif self._growth is None:
            self._growth = self._loop.call_later(PATIENCE, self._grow)

    def _grow(self) -> None:
        """Fork more workers where waiting for the present ones takes too long."""
        self._growth = None
        self._forget_killed()
        if self._nursery is None or not self._nursery.ready or not self._waiting:
            return
        now = self._loop.time()
        left = self._waiting[0].since + PATIENCE - now
        if left <= 0:
            with suppress(OSError):  # there is no file left for another: those that are have to do
                for _ in range(self._wanted(now)):
                    self._fork()
        if len(self._workers) < self._runtime.max_processes:
            self._growth = self._loop.call_later(max(left, PATIENCE), self._grow)

    def _wanted(self, now: float) -> int:
        """Return how many workers to fork now: as many again as slow calls hold up, at least one.

        While there is a worker for each core, and for each one held up, that soon gets free, more
        would not be faster.
        """
        held_up = sum(worker.held_up(now) for worker in self._workers)
        expecting = self._nursery is not None and self._nursery.expecting
        if expecting or len(self._workers) - held_up >= max(held_up, self._cores):
            return 0
        room = self._runtime.max_processes - len(self._workers)
        return min(room, len(self._waiting), max(held_up, 1), FORKS_AT_ONCE)

    def _fork(self) -> None:
        if self._nursery is not None:
            self._workers.add(self._nursery.fork())

    def _retire_idle(self) -> None:
        self._retirement = None
        limit = self._loop.time() - IDLE_LIMIT
        while len(self._idle) > WARM and self._idle[0].since <= limit:
            self._idle.pop(0).retire()
        if len(self._idle) > WARM:
            left = self._idle[0].since - limit
            self._retirement = self._loop.call_later(left, self._retire_idle)

    # -- what happens in the nursery --------------------------------------------------------------

    def _start_nursery(self, runtime: ToolRuntime) -> Nursery:
        hidden = SECRETS | runtime.secrets
        inherited = {name: value for name, value in os.environ.items() if name not in hidden}
        entrypoint, environment = runtime.entrypoint, {**inherited, **runtime.env}
        orders = Orders(
            entrypoint=str(entrypoint) if entrypoint else None,
            memory_limit=runtime.memory_limit,
            program=_program(runtime),
            native=runtime.native._asdict() if runtime.native else None,
        )
        nursery = Nursery(runtime.python, orders, environment, self)
        self._nurseries.add(nursery)
        return nursery

    def _hatch(self) -> None:
        """Start a zygote for the calls that wait, or refuse them where that failed a moment ago."""
        if self._loop.time() < self._not_before:
            self._refuse_waiting(unavailable(self._problem or "their process has just ended"))
            return
        try:
            self._nursery = self._start_nursery(self._runtime)
        except OSError as error:
            self._fail(f"{self._runtime.python} cannot be started: {error.strerror}")
        except InvalidInput as error:
            self._fail(error.message)

    def _fail(self, reason: str) -> None:
        delay = min(FIRST_DELAY * 2**self._failures, LONGEST_DELAY)
        self._failures += 1
        self._not_before = self._loop.time() + delay
        self._problem = reason
        self._refuse_waiting(unavailable(reason))

    def ready(self, nursery: Nursery) -> None:
        """The entrypoint is imported."""
        if nursery is self._nursery:
            self._problem = None
            self._attend()

    def born(self, worker: Worker) -> None:
        """A worker is there: it may run the call that has waited longest."""
        self.free(worker)

    def stillborn(self, worker: Worker, reason: str) -> None:
        """A worker could not be forked; without any, nothing can be called."""
        self._workers.discard(worker)
        if not self._workers:
            self._refuse_waiting(unavailable(reason))

    def dead(self, worker: Worker) -> None:
        """A worker is gone; the calls that wait may need another."""
        self._workers.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        self._attend()

    def lost(self, nursery: Nursery, reason: str) -> None:
        """A zygote is gone. One that had worked is followed by another as soon as there is a call."""
        self._nurseries.discard(nursery)
        if nursery is not self._nursery or self._closed:
            return
        self._nursery = None
        if nursery.since and self._loop.time() - nursery.since >= STABLE_AFTER:
            self._failures = 0
            self._attend()
        else:
            self._fail(reason)


def _program(runtime: ToolRuntime) -> tuple[str, ...]:
    """Return the command of a worker that is no fork of Python. Raises InvalidInput."""
    if runtime.entrypoint is None or runtime.language == "python":
        return ()
    from appliance.tools import scripts

    return scripts.command(runtime.language, runtime.entrypoint, runtime.memory_limit)
