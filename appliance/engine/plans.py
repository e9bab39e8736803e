"""Plans: a schedule in force, how far it is dealt with, and what of it is due at a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from appliance import clock
from appliance.clock import MICROSECONDS
from appliance.language.model import Schedule
from appliance.language.schedules import Timetable
from appliance.store.database import Row

GRACE = 60 * MICROSECONDS
"""A start that is late by less was not missed."""

MADE_UP = 100
"""Starts that are made up for at most, and missed ones that are counted at most."""


class Due(NamedTuple):
    """What is due: `starts` from the oldest on, `until` where everything is dealt with then."""

    starts: list[int]
    missed: list[int]
    """Ticks that are not made up for, from the newest on; one more than `MADE_UP` means more."""
    until: int


@dataclass(slots=True)
class Plan:
    """The schedule of a workflow in force. Times are microseconds since the epoch."""

    workflow_id: str
    schedule: Schedule
    timetable: Timetable
    last: int
    """Ticks up to this moment are dealt with."""
    waiting: int | None = None
    """A tick that starts when the runs before it have ended."""
    runs: dict[str, str] = field(default_factory=dict)
    """Runs of this schedule that may not have ended: idempotency key -> id."""
    wake_at: int | None = None
    """When to look at it next; None is never."""
    taken_up: bool = True
    """Whether a start may be on disk that `last` does not know of: a crash came between them."""
    has_waiter: bool = False
    """Whether somebody waits for the runs before `waiting` to end."""

    def next_start(self) -> int | None:
        """Return when the tick after `last` starts, or None when none does."""
        tick = self.timetable.next_after(self.last) if self.schedule.enabled else None
        return None if tick is None else self.moment(tick)

    def moment(self, tick: int) -> int:
        """Return when *tick* starts: jitter delays it, always by the same, never to the next tick."""
        if not self.schedule.jitter:
            return tick
        after = self.timetable.next_after(tick)
        longest = int(self.schedule.jitter * MICROSECONDS)
        if after is not None:
            longest = min(longest, after - tick - 1)
        digest = hashlib.blake2b(f"{self.workflow_id}:{tick}".encode(), digest_size=8).digest()
        return tick + longest * int.from_bytes(digest) // 2**64

    def due(self, now_us: int) -> Due:
        """Return what is due. It costs the same after an hour and after fifty years."""
        late: list[int] = []
        in_time: list[int] = []
        longest = 2 * MADE_UP if self.schedule.catch_up == "all" else MADE_UP
        for tick in self.timetable.newest(now_us):
            if tick <= self.last or len(late) > longest:
                break
            moment = self.moment(tick)
            if moment <= now_us:
                (in_time if moment > now_us - GRACE else late).append(tick)
        if not late and not in_time:
            return self._next_due(now_us)
        made_up = self._made_up(late, in_time)
        until = (*in_time, *late)[0]
        return Due([*made_up[::-1], *in_time[::-1]], late[len(made_up) :], until)

    def _next_due(self, now_us: int) -> Due:
        """Return what is due when looking back showed nothing; looking ahead decides."""
        tick = self.timetable.next_after(self.last)
        if tick is None or self.moment(tick) > now_us:
            return Due([], [], self.last)
        return Due([tick], [], tick)

    def _made_up(self, late: list[int], in_time: list[int]) -> list[int]:
        if self.schedule.catch_up == "all":
            return late[:MADE_UP]
        if self.schedule.catch_up == "last" and not in_time:
            return late[:1]
        return []

    def key(self, tick: int) -> str:
        """Return the idempotency key of the run that starts at *tick*: a tick starts one, ever."""
        return f"schedule:{self.workflow_id}:{tick}"


def basis_of(schedule: Schedule) -> str:
    """Return what the ticks of a schedule follow from, as text."""
    state = "on" if schedule.enabled else "off"
    return f"{schedule.cron} {schedule.timezone} {state}"


def effective(schedule: Schedule, row: Mapping[str, Any] | Row | None) -> Schedule:
    """Return the schedule with the values that were put in the place of those of the project."""
    if row is None:
        return schedule
    values = {
        "enabled": None if row["enabled"] is None else bool(row["enabled"]),
        "cron": row["cron"],
        "timezone": row["timezone"],
    }
    given = {name: value for name, value in values.items() if value is not None}
    return msgspec.structs.replace(schedule, **given)


def missed_sentence(missed: list[int]) -> str:
    """Return the sentence of the ledger for starts that are not made up for."""
    newest, oldest = clock.to_rfc3339(missed[0]), clock.to_rfc3339(missed[-1])
    why = "the server was not running or could not start them in time"
    if len(missed) > MADE_UP:
        return f"more than {MADE_UP} starts were missed, the newest at {newest}: {why}"
    if len(missed) == 1:
        return f"the start was missed: {why.replace('them', 'it')}"
    return f"{len(missed)} starts from {oldest} to {newest} were missed: {why}"
