"""Ticks: what becomes of each. It starts a run, waits, is skipped, was missed or fails; a ledger tells.

A tick starts its run under the idempotency key `schedule:<workflow>:<tick>`, so whatever happens it
starts one run and not two. The ledger follows the start; where a crash comes between them, the next
server finds the run by its key.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from appliance import clock, errors, ids
from appliance.engine.plans import Plan, missed_sentence
from appliance.engine.runner import Engine
from appliance.engine.status import TERMINAL
from appliance.errors import ApplianceError, Conflict, NotFound
from appliance.failpoint import failpoint
from appliance.store.database import Database, Param, Transaction, settle
from appliance.store.schedules import Schedules
from appliance.store.workflow_states import WorkflowStates

ELSEWHERE = (
    errors.Unavailable,
    errors.StorageFull,
    errors.StorageBroken,
    errors.OutcomeUnknown,
    errors.VersionConflict,
)
"""Failures that are not the schedule's: the same tick may start later."""

OUTCOMES = ("started", "skipped", "missed", "failed")

_ENDED = {*TERMINAL, None}
"""Statuses of a run that holds up nobody; None is a run that is gone."""

Entry = dict[str, Param]
"""A row of the ledger."""


class Ticks:
    """Deals with the ticks of plans. One plan is dealt with by one caller at a time."""

    def __init__(self, database: Database, engine: Engine, project: str) -> None:
        self._database = database
        self._engine = engine
        self._project = project
        self.counts: Counter[str] = Counter()
        """How many ticks came out how, since the server began."""

    def schedule_id(self, workflow_id: str) -> str:
        """Return the name of the schedule of a workflow."""
        return f"schedule-{self._project}-{workflow_id}"

    async def deal(self, plan: Plan, now_us: int) -> None:
        """Deal with all of *plan* that is due.

        Raises the errors of `ELSEWHERE`: what was dealt with counts, the rest is due again.
        """
        if plan.taken_up:
            await self._find_interrupted(plan)
            plan.taken_up = False
        due = plan.due(now_us)
        entries = [_missed(due.missed)] if due.missed else []
        for tick in due.starts:
            failpoint("tick.due")
            entry = await self._begin(plan, tick)
            failpoint("tick.started")
            await self._advance(plan, tick, [*entries, entry] if entry else entries)
            entries = []
        if due.until > plan.last:
            await self._advance(plan, due.until, entries)

    async def start_waiting(self, plan: Plan) -> None:
        """Start the tick that waited for the runs before it. Raises the errors of `ELSEWHERE`."""
        if plan.waiting is None:
            return
        entry = await self._start(plan, plan.waiting)
        await self._advance(plan, plan.last, [entry], still_waiting=False)

    async def trigger(self, plan: Plan, started_by: str | None) -> str:
        """Start a run now, whatever else runs, and return its id.

        Raises: InvalidInput when the schedule's input is not the workflow's, and what
        `Engine.start` raises.
        """
        now_us = clock.now_us()
        key = f"schedule:{plan.workflow_id}:now:{ids.new_id()}"
        origin = self._origin(plan, now_us) | {"triggered": True}
        exec_id = await self._run(plan, key, origin, started_by)
        entry = _entry(now_us, "started", "triggered by hand", exec_id)
        node = self._engine.node

        def record(tx: Transaction) -> None:
            Schedules(tx).record(plan.workflow_id, [entry])
            node.tell_with(tx, "schedules", plan.workflow_id)

        await settle(node.write(record))
        self.counts["started"] += 1
        return exec_id

    # -- one tick ---------------------------------------------------------------------------------

    async def _begin(self, plan: Plan, tick: int) -> Entry | None:
        """Start the run of a tick as the overlap policy says; None when it waits."""
        policy = plan.schedule.overlap_policy
        if policy == "allow":
            return await self._start(plan, tick)
        await self._forget_ended(plan)
        if plan.key(tick) in plan.runs:  # the wall clock was put back
            return _entry(tick, "started", "", plan.runs[plan.key(tick)])
        if policy == "cancel_other":
            await self._cancel_runs(plan)
        elif plan.runs or plan.waiting is not None:
            return self._wait_or_skip(plan, tick)
        return await self._start(plan, tick)

    def _wait_or_skip(self, plan: Plan, tick: int) -> Entry | None:
        if plan.schedule.overlap_policy == "skip":
            running = next(iter(plan.runs.values()), "")
            return _entry(tick, "skipped", f"run {running} has not ended")
        if plan.waiting in (None, tick):
            plan.waiting = tick
            return None
        return _entry(tick, "skipped", "another start is waiting already")

    async def _start(self, plan: Plan, tick: int) -> Entry:
        try:
            exec_id = await self._run(plan, plan.key(tick), self._origin(plan, tick))
        except ELSEWHERE:
            raise
        except ApplianceError as error:
            return _entry(tick, "failed", error.message)
        return _entry(tick, "started", "", exec_id)

    async def _run(
        self, plan: Plan, key: str, origin: dict[str, Param], started_by: str | None = None
    ) -> str:
        """Return the run under *key*, which is begun unless it is there."""
        program = self._engine.program(plan.workflow_id)
        try:
            exec_id = await self._engine.start(
                program,
                program.accept(plan.schedule.input),
                started_by=started_by,
                idempotency_key=key,
                origin=origin,
            )
        except Conflict:
            earlier = await self._find(key)
            if earlier is None:
                raise
            exec_id = earlier
        if plan.schedule.overlap_policy != "allow":
            plan.runs[key] = exec_id
        return exec_id

    def _origin(self, plan: Plan, tick: int) -> dict[str, Param]:
        schedule_id = self.schedule_id(plan.workflow_id)
        return {
            "type": "schedule",
            "schedule_id": schedule_id,
            "tick": clock.to_rfc3339(tick),
        }

    # -- what is on disk --------------------------------------------------------------------------

    async def _advance(
        self, plan: Plan, tick: int, entries: list[Entry], *, still_waiting: bool = True
    ) -> None:
        """Store that *plan* is dealt with up to *tick*, with *entries* for the ledger."""
        waiting = plan.waiting if still_waiting else None
        await settle(
            self._engine.node.write(
                lambda tx: Schedules(tx).advance(
                    plan.workflow_id, last_tick=tick, waiting_tick=waiting, entries=entries
                )
            )
        )
        plan.last, plan.waiting = tick, waiting
        self.counts.update(str(entry["outcome"]) for entry in entries)

    async def _find_interrupted(self, plan: Plan) -> None:
        """Note the run that a crash kept out of the ledger: at most that of the first tick due."""
        tick = plan.timetable.next_after(plan.last)
        exec_id = await self._find(plan.key(tick)) if tick is not None else None
        if tick is not None and exec_id is not None:
            await self._advance(plan, tick, [_entry(tick, "started", "", exec_id)])

    async def _find(self, key: str) -> str | None:
        row = await settle(
            self._database.read(lambda tx: WorkflowStates(tx).with_idempotency_key(key))
        )
        return None if row is None else str(row["workflow_exec_id"])

    # -- runs before it ---------------------------------------------------------------------------

    async def _forget_ended(self, plan: Plan) -> None:
        if not plan.runs:
            return
        known = dict(plan.runs)

        def ended(tx: Transaction) -> list[str]:
            statuses = Schedules(tx).run_status
            return [key for key, exec_id in known.items() if statuses(exec_id) in _ENDED]

        for key in await settle(self._database.read(ended)):
            plan.runs.pop(key, None)

    async def _cancel_runs(self, plan: Plan) -> None:
        for exec_id in list(plan.runs.values()):
            with suppress(NotFound, Conflict):  # it has ended meanwhile
                await self._engine.cancel(exec_id)
        await self._forget_ended(plan)


def _entry(tick: int, outcome: str, reason: str, exec_id: str | None = None) -> Entry:
    return {
        "tick": tick,
        "outcome": outcome,
        "exec_id": exec_id,
        "reason": reason,
        "at": clock.now_us(),
    }


def _missed(ticks: list[int]) -> Entry:
    return _entry(ticks[0], "missed", missed_sentence(ticks))
