"""Schedules: what starts by itself and when, changed without a change of the project.

Values that are changed here count before those of the project, until they are reset. They are stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from appliance import clock
from appliance.engine.plans import basis_of, effective
from appliance.errors import InvalidInput, NotFound
from appliance.language.model import Json, Schedule
from appliance.language.schedules import faults
from appliance.operations import audit
from appliance.operations.actors import Actor
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.store.database import Row, Transaction, settle
from appliance.store.schedules import NEWEST, Schedules

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

OVERRIDABLE = ("enabled", "cron", "timezone")


async def list_schedules(
    appliance: Appliance, *, limit: int = 50, cursor: str | None = None
) -> Page:
    """Return the schedules by workflow. Raises InvalidInput for a bad cursor."""
    after = decode_cursor(cursor) if cursor else ""
    programs = appliance.engine.programs
    names = sorted(name for name in programs if name > after and programs[name].workflow.schedule)
    return page_of(await _items(appliance, names[: limit + 1]), limit, "workflow_id")


async def get_schedule(appliance: Appliance, workflow_id: str) -> dict[str, Json]:
    """Return the schedule of a workflow. Raises NotFound."""
    _written(appliance, workflow_id)
    [item] = await _items(appliance, [workflow_id])
    return item


async def change_schedule(
    appliance: Appliance,
    actor: Actor,
    workflow_id: str,
    *,
    enabled: bool | None = None,
    cron: str | None = None,
    timezone: str | None = None,
) -> dict[str, Json]:
    """Change what is not None; it counts at once, and nothing is made up for of the time before.

    Raises: NotFound, InvalidInput naming the field.
    """
    given = {"enabled": enabled, "cron": cron, "timezone": timezone}
    changes = {name: value for name, value in given.items() if value is not None}

    def work(tx: Transaction) -> None:
        row = Schedules(tx).get(workflow_id)
        values = {name: None if row is None else row[name] for name in OVERRIDABLE} | changes
        _override(tx, actor, workflow_id, written, values)
        audit.record(tx, actor, "schedule.changed", workflow_id, changes)
        appliance.node.tell_with(tx, "schedules", workflow_id)

    written = _written(appliance, workflow_id)
    _check(msgspec.structs.replace(written, **changes))
    if changes:
        await settle(appliance.db.write(work))
        await appliance.scheduler.follow(workflow_id)
    return await get_schedule(appliance, workflow_id)


async def reset_schedule(appliance: Appliance, actor: Actor, workflow_id: str) -> None:
    """Let the values of the project count again. Raises NotFound."""

    def work(tx: Transaction) -> bool:
        row = Schedules(tx).get(workflow_id)
        if row is None or not _is_override(row):
            return False
        _override(tx, actor, workflow_id, written, {})
        audit.record(tx, actor, "schedule.reset", workflow_id)
        appliance.node.tell_with(tx, "schedules", workflow_id)
        return True

    written = _written(appliance, workflow_id)
    if await settle(appliance.db.write(work)):
        await appliance.scheduler.follow(workflow_id)


async def trigger_schedule(appliance: Appliance, actor: Actor, workflow_id: str) -> str:
    """Start a run with the input of the schedule now, whatever else runs, and return its id.

    Raises: NotFound, InvalidInput when the workflow does not take that input.
    """
    return await appliance.scheduler.trigger(workflow_id, started_by=actor.user_id)


async def list_ticks(
    appliance: Appliance, workflow_id: str, *, limit: int = 50, cursor: str | None = None
) -> Page:
    """Return what became of the ticks of a schedule, newest first; some hundred are kept.

    Raises: NotFound, InvalidInput for a bad cursor.
    """
    _written(appliance, workflow_id)
    before = _number(cursor) if cursor else NEWEST

    def work(tx: Transaction) -> list[Row]:
        return Schedules(tx).ticks(workflow_id, before=before, limit=limit + 1)

    rows = await settle(appliance.db.read(work))
    return page_of([_tick(row) for row in rows], limit, "number")


def _written(appliance: Appliance, workflow_id: str) -> Schedule:
    """Return the schedule as the project has it. Raises NotFound."""
    schedule = appliance.engine.program(workflow_id).workflow.schedule
    if schedule is None:
        raise NotFound(f"workflow {workflow_id!r} has no schedule")
    return schedule


def _check(schedule: Schedule) -> None:
    wrong = [message for field, message in faults(schedule) if field in OVERRIDABLE]
    if wrong:
        raise InvalidInput(wrong[0])


def _override(
    tx: Transaction, actor: Actor, workflow_id: str, written: Schedule, values: dict[str, Json]
) -> None:
    """Store *values* to count before the project's. Where that changes the ticks, they begin anew."""
    overrides = {name: _other(values.get(name), getattr(written, name)) for name in OVERRIDABLE}
    basis = basis_of(effective(written, overrides))
    now_us = clock.now_us()
    row = Schedules(tx).get(workflow_id)
    if row is None or row["basis"] != basis:
        Schedules(tx).begin([{"workflow_id": workflow_id, "basis": basis, "last_tick": now_us}])
    changed = any(value is not None for value in overrides.values())
    Schedules(tx).override(
        workflow_id,
        **overrides,
        changed_by=actor.user_id if changed else None,
        changed_at=now_us if changed else None,
    )


def _other(value: Json, written: Json) -> Json:
    """Return *value*, or None when it says nothing else than the project."""
    return None if value == written else value


def _is_override(row: Row) -> bool:
    return any(row[name] is not None for name in OVERRIDABLE)


async def _items(appliance: Appliance, names: list[str]) -> list[dict[str, Json]]:
    def work(tx: Transaction) -> list[tuple[Row | None, str | None]]:
        schedules = Schedules(tx)
        rows = [schedules.get(name) for name in names]
        return [(row, _last_status(schedules, row)) for row in rows]

    found = await settle(appliance.db.read(work, scan=len(names) > 1))
    return [
        _item(appliance, name, row, status)
        for name, (row, status) in zip(names, found, strict=True)
    ]


def _last_status(schedules: Schedules, row: Row | None) -> str | None:
    exec_id = row["last_exec_id"] if row is not None else None
    return schedules.run_status(exec_id) if exec_id is not None else None


def _item(
    appliance: Appliance, workflow_id: str, row: Row | None, last_status: str | None
) -> dict[str, Json]:
    written = _written(appliance, workflow_id)
    schedule = effective(written, row)
    plan = appliance.scheduler.plans.get(workflow_id)
    known = dict(row) if row is not None else {}
    return {
        "workflow_id": workflow_id,
        "schedule_id": appliance.scheduler.ticks.schedule_id(workflow_id),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "is_override": row is not None and _is_override(row),
        "overlap_policy": schedule.overlap_policy,
        "catch_up": schedule.catch_up,
        "jitter": schedule.jitter,
        "start_at": clock.to_rfc3339(schedule.start_at),
        "end_at": clock.to_rfc3339(schedule.end_at),
        "input": schedule.input,
        "yaml_config": {name: getattr(written, name) for name in OVERRIDABLE},
        "next_run_time": clock.to_rfc3339(plan.next_start() if plan else None),
        "last_run_time": clock.to_rfc3339(known.get("last_run_at")),
        "last_run_status": last_status,
        "last_exec_id": known.get("last_exec_id"),
        "waiting_tick": clock.to_rfc3339(known.get("waiting_tick")),
        "changed_by": known.get("changed_by"),
        "changed_at": clock.to_rfc3339(known.get("changed_at")),
    }


def _tick(row: Row) -> dict[str, Json]:
    return {
        "number": row["number"],
        "tick": clock.to_rfc3339(row["tick"]),
        "outcome": row["outcome"],
        "exec_id": row["exec_id"],
        "reason": row["reason"],
        "at": clock.to_rfc3339(row["at"]),
    }


def _number(cursor: str) -> int:
    text = decode_cursor(cursor)
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("the cursor is not one of this listing; begin without one")
    return int(text)
