"""Scheduler: wakes for the next tick of all schedules.

One task sleeps until then, at most `LONGEST_SLEEP`, so that a wall clock that is set meanwhile is
noticed. Where there is no schedule it sleeps for ever. Nothing is written unless a tick is dealt with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import structlog

from appliance import clock
from appliance.background import Background
from appliance.clock import MICROSECONDS
from appliance.engine.plans import Plan, basis_of, effective
from appliance.engine.runner import Engine
from appliance.engine.ticks import ELSEWHERE, Ticks
from appliance.errors import ApplianceError, NotFound
from appliance.language.model import Schedule
from appliance.language.schedules import Timetable
from appliance.store.database import Database, Param, Row, Transaction, settle
from appliance.store.schedules import Schedules

LONGEST_SLEEP = 60.0
SLICE = 16
"""Schedules that are dealt with at once; between slices everybody else gets a turn."""

CLOCK_WAS_SET = 1_735_689_600 * MICROSECONDS
"""2025-01-01: a wall clock before it was never set, and nothing starts by it."""

RETRY_AFTER = 5.0
"""Seconds until a schedule is tried again whose tick the database could not take."""

_UNTIL_ENDED = 3600.0
_NOWHERE = ""
"""The basis of a schedule that the project has no more."""

log = structlog.get_logger(__name__)


class _Known(NamedTuple):
    """What the database says: schedules by workflow, and their runs that have not ended."""

    rows: dict[str, Row]
    latest: dict[str, int]
    """The last tick that is not in the future, of schedules that are ahead of the clock."""
    runs: list[Row]


class Scheduler:
    """The schedules of the project that *engine* runs. Methods are for the engine's event loop."""

    def __init__(self, database: Database, engine: Engine, project: str) -> None:
        self._database = database
        self._engine = engine
        self._node = engine.node
        self.ticks = Ticks(database, engine, project)
        self.plans: dict[str, Plan] = {}
        """Every schedule that can be understood, by workflow."""
        self._heap: list[tuple[int, str]] = []
        self._seen = 0
        self._work = Background()
        self._believed = False

    async def open(self, *, resume: bool = True) -> None:
        """Take up every schedule where it was left. Without *resume* nothing starts by itself."""
        self._changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        """For a slice of ticks, or a change of schedules."""
        self._serving = asyncio.Lock()
        self._resume = resume and self._node.leads
        await self.reload()
        if resume:
            self._node.on_lead = self._lead
            self._node.hear("schedules", self._told)
            self._work.begin(self._run())

    async def close(self) -> None:
        """Start nothing more. A tick that is cut off is found by the next server."""
        await self._work.stop()

    def _lead(self, leads: bool) -> None:
        """Begin to see to the schedules, or leave that to another node."""
        self._resume = leads
        self._work.begin(self.follow())

    def _told(self, workflow_id: str) -> None:
        self._work.begin(self.follow(workflow_id or None))

    @property
    def clock_is_set(self) -> bool:
        """Whether the wall clock can be believed; until it can, schedules wait."""
        return clock.now_us() >= CLOCK_WAS_SET

    @property
    def detail(self) -> str:
        """What there is to say about the schedules as a whole, in a sentence."""
        if not self.clock_is_set:
            return "the clock of this machine is not set; schedules wait until it is"
        return f"{len(self.plans)} schedules are in force"

    def plan(self, workflow_id: str) -> Plan:
        """Return the schedule of a workflow. Raises NotFound."""
        self._engine.program(workflow_id)
        try:
            return self.plans[workflow_id]
        except KeyError:
            raise NotFound(f"workflow {workflow_id!r} has no schedule") from None

    async def trigger(self, workflow_id: str, *, started_by: str | None = None) -> str:
        """Start a run of a scheduled workflow now and return its id.

        Raises NotFound, InvalidInput, and the errors of `Database.write`.
        """
        return await self.ticks.trigger(self.plan(workflow_id), started_by)

    # -- schedules that are new or were changed ---------------------------------------------------

    async def reload(self, only: str | None = None) -> None:
        """Read the schedules again, all or that of one workflow, after they were changed."""
        async with self._one_at_a_time:
            known = await settle(self._database.read(partial(_known, only=only), scan=True))
            now_us = clock.now_us()
            plans = await self._take_up_all(known, only, now_us)
            for run in known.runs:
                if run["workflow_id"] in plans:
                    plan = plans[run["workflow_id"]]
                    plan.runs[run["idempotency_key"]] = run["workflow_exec_id"]
            self._believed = self.clock_is_set
            if self._believed:
                await self._begin(plans, known, now_us)
            self._put_in_force(plans, only)
        self._changed.set()

    async def follow(self, only: str | None = None) -> None:
        """Do what `reload` does; where the database cannot answer now, as soon as it can."""
        try:
            await self.reload(only)
        except ELSEWHERE as error:
            log.warning("schedules.delayed", error=error.message)
            self._believed = False
            self._changed.set()

    async def _take_up_all(self, known: _Known, only: str | None, now_us: int) -> dict[str, Plan]:
        plans = {}
        for done, program in enumerate(list(self._engine.programs.values())):
            if program.workflow.schedule is None or only not in (None, program.id):
                continue
            plan = self._take_up(program.id, program.workflow.schedule, known, now_us)
            if plan is not None:
                plans[program.id] = plan
            if done % SLICE == 0:
                await asyncio.sleep(0)
        return plans

    def _take_up(
        self, workflow_id: str, schedule: Schedule, known: _Known, now_us: int
    ) -> Plan | None:
        row = known.rows.get(workflow_id)
        schedule = effective(schedule, row)
        basis = basis_of(schedule)
        last = now_us
        if row is not None and row["basis"] == basis and row["last_tick"] >= CLOCK_WAS_SET:
            last = min(row["last_tick"], known.latest.get(workflow_id, now_us))
        waiting = row["waiting_tick"] if row is not None and row["basis"] != _NOWHERE else None
        try:
            plan = Plan(workflow_id, schedule, Timetable.of(schedule), last, waiting)
        except ApplianceError as error:  # such as a time zone that is no more
            log.warning("schedule.not_understood", workflow_id=workflow_id, error=error.message)
            return None
        plan.wake_at = plan.next_start()
        return plan

    async def _begin(self, plans: Mapping[str, Plan], known: _Known, now_us: int) -> None:
        """Store from when on schedules count that are new or changed, and which ones are gone."""
        bases = {row["workflow_id"]: row["basis"] for row in known.rows.values()}
        gone = [name for name in bases if not self._is_scheduled(name)]
        # Another node may have other files for a while; who leads decides what is gone.
        wanted = dict.fromkeys(gone, _NOWHERE) if self._resume else {}
        wanted |= {name: basis_of(plan.schedule) for name, plan in plans.items()}
        rows: list[dict[str, Param]] = [
            {"workflow_id": name, "basis": basis, "last_tick": now_us}
            for name, basis in wanted.items()
            if bases.get(name) != basis
        ]
        if rows:
            await settle(self._node.write(lambda tx: Schedules(tx).begin(rows)))

    def _is_scheduled(self, workflow_id: str) -> bool:
        program = self._engine.programs.get(workflow_id)
        return program is not None and program.workflow.schedule is not None

    def _put_in_force(self, plans: dict[str, Plan], only: str | None) -> None:
        if only is None:
            self.plans, self._heap = {}, []
        self.plans.pop(only or "", None)
        self.plans |= plans
        for plan in plans.values():
            if plan.wake_at is not None:
                self._heap.append((plan.wake_at, plan.workflow_id))
            self._await_turn(plan)
        heapify(self._heap)

    # -- time passes ------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._sleep()
            try:
                await self.serve()
            except ApplianceError as error:
                log.warning("schedules.delayed", error=error.message)
                await asyncio.sleep(RETRY_AFTER)
                self._changed.set()

    async def _sleep(self) -> None:
        """Sleep until the next tick or a change; where there is nothing to wait for, for ever."""
        with suppress(TimeoutError):
            # Not wait_for: that of Python 3.11 can lose a cancellation.
            async with asyncio.timeout(self._patience()):
                await self._changed.wait()
        self._changed.clear()

    def _patience(self) -> float | None:
        if not self._heap or not self._resume:
            return None
        if not self.clock_is_set:
            return RETRY_AFTER
        left = (self._heap[0][0] - clock.now_us()) / MICROSECONDS
        return min(LONGEST_SLEEP, max(left, 0))

    async def serve(self) -> None:
        """Deal with everything that is due now. Raises: the errors of `Database`."""
        async with self._serving:
            if self._resume and self.clock_is_set:
                await self._serve()

    async def _serve(self) -> None:
        if not self._believed:
            await self.reload()
        now_us = clock.now_us()
        if now_us < self._seen:
            self._clock_went_back(now_us)
        self._seen = now_us
        due = self._take_due(now_us)
        for begin in range(0, len(due), SLICE):
            async with self._one_at_a_time:
                await asyncio.gather(
                    *(self._deal(plan, now_us) for plan in due[begin : begin + SLICE])
                )

    def _take_due(self, now_us: int) -> list[Plan]:
        due = []
        while self._heap and self._heap[0][0] <= now_us:
            wake_at, workflow_id = heappop(self._heap)
            plan = self.plans.get(workflow_id)
            if plan is not None and plan.wake_at == wake_at:  # else it was changed since
                plan.wake_at = None
                due.append(plan)
        return due

    async def _deal(self, plan: Plan, now_us: int) -> None:
        if self.plans.get(plan.workflow_id) is not plan:
            return
        try:
            await self.ticks.deal(plan, now_us)
        except ELSEWHERE as error:
            log.warning("schedule.delayed", workflow_id=plan.workflow_id, error=error.message)
            self._wake_at(plan, now_us + round(RETRY_AFTER * MICROSECONDS))
        except Exception:
            # A defect must cost this schedule one tick, and the others none.
            log.exception("schedule.broken", workflow_id=plan.workflow_id)
            plan.last = now_us
            self._wake_at(plan, plan.next_start())
        else:
            self._await_turn(plan)
            self._wake_at(plan, plan.next_start())

    def _wake_at(self, plan: Plan, moment: int | None) -> None:
        plan.wake_at = moment
        if moment is not None:
            heappush(self._heap, (moment, plan.workflow_id))

    def _clock_went_back(self, now_us: int) -> None:
        """Count from now on what is ahead of the clock. What started already, does not again."""
        log.warning("clock.went_back", seconds=(self._seen - now_us) / MICROSECONDS)
        for plan in self.plans.values():
            if plan.last > now_us:
                plan.last = now_us
                self._wake_at(plan, plan.next_start())

    # -- ticks that wait for runs to end ----------------------------------------------------------

    def _await_turn(self, plan: Plan) -> None:
        if self._resume and plan.schedule.enabled and plan.waiting and not plan.has_waiter:
            plan.has_waiter = True
            self._work.begin(self._take_turn(plan))

    async def _take_turn(self, plan: Plan) -> None:
        for exec_id in list(plan.runs.values()):
            while not await self._engine.wait(exec_id, _UNTIL_ENDED):
                pass
        while self.plans.get(plan.workflow_id) is plan and plan.waiting is not None:
            try:
                async with self._one_at_a_time:
                    await self.ticks.start_waiting(plan)
            except ELSEWHERE as error:
                log.warning("schedule.delayed", workflow_id=plan.workflow_id, error=error.message)
                await asyncio.sleep(RETRY_AFTER)
        plan.has_waiter = False


def _known(tx: Transaction, *, only: str | None) -> _Known:
    schedules = Schedules(tx)
    row = schedules.get(only) if only is not None else None
    found = schedules.all() if only is None else [row] if row is not None else []
    now_us = clock.now_us()
    ahead = (row["workflow_id"] for row in found if row["last_tick"] > now_us)
    latest = {name: tick for name in ahead if (tick := schedules.latest_tick(name, now_us))}
    return _Known({row["workflow_id"]: row for row in found}, latest, schedules.open_runs())
