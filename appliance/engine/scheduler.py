"""Scheduler: starts workflows at the ticks of their schedules.

A tick starts its run under the idempotency key `schedule:<workflow>:<tick>`, so whatever happens it
starts one run and not two. The ledger of the schedule follows the start; when a crash comes between
them, the next server finds the run by its key.

One task sleeps until the next tick of all schedules, at most `LONGEST_SLEEP`: a wall clock that is
set meanwhile is noticed. Nothing is written unless a tick is dealt with.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush

import structlog

from appliance import clock, ids
from appliance.clock import MICROSECONDS
from appliance.engine.plans import Plan, basis_of, effective, missed_sentence
from appliance.engine.runner import Engine
from appliance.errors import (
    ApplianceError,
    Conflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    StorageBroken,
    StorageFull,
    Unavailable,
)
from appliance.language.model import Schedule
from appliance.language.schedules import Timetable
from appliance.store.database import Database, Param, Row, Transaction, settle
from appliance.store.schedules import Schedules
from appliance.store.workflow_states import WorkflowStates

LONGEST_SLEEP = 60.0
SLICE = 50
"""Schedules that are dealt with at once: between slices others get their turn."""

CLOCK_WAS_SET = 1_735_689_600 * MICROSECONDS
"""2025-01-01: a wall clock before it was never set, and nothing starts by it."""

RETRY_AFTER = 5 * MICROSECONDS
"""After so long a schedule is tried again whose start the database could not take."""

_ELSEWHERE = (Unavailable, StorageFull, StorageBroken, OutcomeUnknown)
"""Failures that are not the schedule's: the same tick may start later."""

Entry = dict[str, Param]

log = structlog.get_logger(__name__)


class Scheduler:
    """The schedules of the project that *engine* runs. Methods are for the engine's event loop."""

    def __init__(self, database: Database, engine: Engine, project: str) -> None:
        self._database = database
        self._engine = engine
        self._project = project
        self.plans: dict[str, Plan] = {}
        """Every schedule that can be understood, by workflow."""
        self.counts: Counter[str] = Counter()
        """How many ticks came out how, since the server began."""
        self._heap: list[tuple[int, str]] = []
        self._seen = 0
        self._waiters: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def open(self, *, run: bool = True) -> None:
        """Take up every schedule where it was left. Without *run* nothing starts by itself."""
        self._changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        """A slice of ticks or a change of schedules, never both."""
        self._running = run
        await self.reload()
        if run:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Start nothing more. A tick that is cut off is found by the next server."""
        tasks = [*self._waiters, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._waiters.clear()
        self._task = None

    @property
    def clock_is_set(self) -> bool:
        """Whether the wall clock can be believed; until then schedules wait."""
        return clock.now_us() >= CLOCK_WAS_SET

    def schedule_id(self, workflow_id: str) -> str:
        """Return the name of the schedule of a workflow."""
        return f"schedule-{self._project}-{workflow_id}"

    def plan(self, workflow_id: str) -> Plan:
        """Return the schedule of a workflow. Raises NotFound."""
        self._engine.program(workflow_id)
        try:
            return self.plans[workflow_id]
        except KeyError:
            raise NotFound(f"workflow {workflow_id!r} has no schedule") from None

    # -- taking up --------------------------------------------------------------------------------

    async def reload(self, only: str | None = None) -> None:
        """Read the schedules again, all or that of one workflow, after they were changed."""
        async with self._one_at_a_time:
            rows, runs = await settle(self._database.read(_known, scan=True))
            found = {
                program.id: (program.workflow.schedule, rows.get(program.id))
                for program in self._engine.programs.values()
                if program.workflow.schedule is not None and only in (None, program.id)
            }
            plans = {name: plan for name in found if (plan := self._take_up(name, *found[name]))}
            for row in runs:
                if row["workflow_id"] in plans:
                    plan = plans[row["workflow_id"]]
                    plan.runs[row["idempotency_key"]] = row["workflow_exec_id"]
            if self.clock_is_set:
                await self._begin(plans, rows)
            self._put_in_force(plans, only)
        self._changed.set()
