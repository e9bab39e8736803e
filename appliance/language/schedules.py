"""Timetables: when a schedule is due.

A tick is a moment at which a run is to start: microseconds since the epoch, always a whole second.

Fields of cron are those of the local clock of the time zone. Where that clock is moved, a schedule
that names its hours is due once: at the first of two equal times, and at the end of a gap for a time
in it. One that is due in every hour goes by real time, so `0 */5 * * * *` neither stops for an hour
nor hurries.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count, dropwhile
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from appliance.clock import MICROSECONDS
from appliance.errors import InvalidInput
from appliance.language.durations import parse_duration
from appliance.language.model import Json, Schedule
from appliance.language.schemas import compile_schema

FIELDS = ("second", "minute", "hour", "day-of-month", "month", "day-of-week")
_RANGES = ("0-59", "0-59", "0-23", "1-31 or L", "1-12 or JAN-DEC", "0-7 or SUN-SAT")
_NAMED = {
    "@hourly": "0 0 * * * *",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@weekly": "0 0 0 * * 0",
    "@monthly": "0 0 0 1 * *",
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
}
_EVERY = "@every"
_LONGEST_CRON = 200
_SEARCHED_FROM = datetime(2000, 1, 1)  # noqa: DTZ001 - a local time, whatever the zone
_FIRST, _LAST = 0, 220_000_000_000
"""Seconds since the epoch that are looked at: from 1970 to some year beyond 8900."""
_LONGEST_GAP = 86_400
"""Seconds that a clock was moved at most: a day, at the date line."""


class _Rule(Protocol):
    """Moments in seconds since the epoch."""

    def after(self, second: int) -> int | None:
        """Return the first moment after *second*, or None when none follows within 50 years."""
        ...

    def until(self, second: int) -> Iterator[int]:
        """Yield the moments backwards, from the last that is not after *second*."""
        ...


class Timetable:
    """The ticks of a schedule. Asking costs some 50 microseconds, however far apart they are."""

    def __init__(
        self,
        cron: str,
        timezone: str = "UTC",
        start_at: int | None = None,
        end_at: int | None = None,
    ) -> None:
        """Raises InvalidInput, one sentence, when *cron* or *timezone* cannot be understood."""
        self._rule = parse_cron(cron, parse_timezone(timezone))
        self._start_at = start_at
        self._end_at = end_at

    @classmethod
    def of(cls, schedule: Schedule) -> Timetable:
        """Return the timetable of a schedule; whether it is enabled does not matter here."""
        return cls(schedule.cron, schedule.timezone, schedule.start_at, schedule.end_at)

    def next_after(self, us: int) -> int | None:
        """Return the first tick after *us*, or None when there is none."""
        if self._start_at is not None:
            us = max(us, self._start_at - 1)
        return self._within(self._rule.after(us // MICROSECONDS))

    def newest(self, us: int) -> Iterator[int]:
        """Yield the ticks backwards, from the last that is not after *us*."""
        if self._end_at is not None:
            us = min(us, self._end_at)
        before = us + 1
        for second in self._rule.until(us // MICROSECONDS):
            tick = self._within(second)
            if tick is None:
                return
            if tick < before:  # several times in one gap are one tick
                yield tick
            before = tick

    def _within(self, second: int | None) -> int | None:
        if second is None:
            return None
        tick = second * MICROSECONDS
        early = self._start_at is not None and tick < self._start_at
        late = self._end_at is not None and tick > self._end_at
        return None if early or late else tick


def faults(
    schedule: Schedule, input_schema: dict[str, Json] | None = None
) -> list[tuple[str, str]]:
    """Return what is wrong with a schedule, as pairs of the field and a sentence; empty when nothing.

    *input_schema* is the workflow's.
    """
    found = []
    for field, check in (
        ("cron", lambda: parse_cron(schedule.cron, ZoneInfo("UTC"))),
        ("timezone", lambda: parse_timezone(schedule.timezone)),
        ("end_at", lambda: _check_order(schedule)),
        ("jitter", lambda: _check_jitter(schedule)),
        ("input", lambda: _check_input(schedule, input_schema)),
    ):
        try:
            check()
        except InvalidInput as error:
            found.append((field, error.message))
    return found


@lru_cache(maxsize=1024)
def parse_cron(cron: str, zone: ZoneInfo) -> _Rule:
    """Return the rule that *cron* is on the clock of *zone*. Raises InvalidInput naming the field."""
    text = cron.strip()
    if len(text) > _LONGEST_CRON:
        raise InvalidInput(f"cron is longer than {_LONGEST_CRON} characters: {text[:40]!r}...")
    if text.lower().split(maxsplit=1)[:1] == [_EVERY]:
        return _Every(_interval(text))
    if text.startswith("@") and text.lower() not in _NAMED:
        known = ", ".join((*_NAMED, f"{_EVERY} <duration>"))
        raise InvalidInput(
            f"cron {text!r} is not known; it is one of {known}, or five or six fields"
        )
    return _Fields(_expression(_NAMED.get(text.lower(), text)), zone)


def parse_timezone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises InvalidInput."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a directory of zones
        raise InvalidInput(
            f"timezone {name[:60]!r} is not known; use a name of the IANA list such as "
            "Europe/Lisbon or UTC"
        ) from None


def parse_moment(text: str) -> int:
    """Return the microseconds of an RFC 3339 time, which says its offset. Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text.strip())
        seconds = moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        seconds = None
    if seconds is None:
        raise InvalidInput(
            f"{text[:60]!r} is not a time with its offset; write for example 2030-01-31T08:00:00Z"
        )
    return round(seconds * MICROSECONDS)


def _check_order(schedule: Schedule) -> None:
    if schedule.start_at is None or schedule.end_at is None:
        return
    if schedule.start_at >= schedule.end_at:
        raise InvalidInput("end_at must be later than start_at")


def _check_jitter(schedule: Schedule) -> None:
    if schedule.jitter < 0:
        raise InvalidInput(f"jitter is {schedule.jitter:g} seconds; it must not be negative")


def _check_input(schedule: Schedule, input_schema: dict[str, Json] | None) -> None:
    if input_schema:
        compile_schema(input_schema, "input").apply(schedule.input)


def _interval(text: str) -> int:
    """Return the whole seconds of `@every <duration>`."""
    try:
        seconds = parse_duration(text[len(_EVERY) :])
    except InvalidInput as error:
        raise InvalidInput(f"cron {text!r}: {error.message}") from None
    if seconds < 1 or seconds != int(seconds):
        raise InvalidInput(f"cron {text!r}: the duration must be whole seconds, at least 1s")
    return int(seconds)


def _expression(text: str) -> str:
    """Return six fields that were checked one by one."""
    parts = text.split()
    if len(parts) == len(FIELDS) - 1:
        parts.insert(0, "0")
    if len(parts) != len(FIELDS):
        raise InvalidInput(
            f"cron {text!r} has {len(parts)} fields; write six (second minute hour day-of-month "
            "month day-of-week) or five (without second)"
        )
    for place in (3, 5):
        parts[place] = "*" if parts[place] == "?" else parts[place]
    _check_fields(text, parts)
    return " ".join(parts)


def _check_fields(text: str, parts: list[str]) -> None:
    for place, part in enumerate(parts):
        alone = ["*"] * len(FIELDS)
        alone[place] = part
        try:
            CronSim(" ".join(alone), _SEARCHED_FROM)
        except CronSimError:
            raise InvalidInput(
                f"cron {text!r}: the {FIELDS[place]} {part!r} is not valid ({_RANGES[place]})"
            ) from None
    try:
        comes = next(CronSim(" ".join(parts), _SEARCHED_FROM), None)
    except CronSimError:  # the 31st of months that have none
        comes = None
    if comes is None:
        raise InvalidInput(f"cron {text!r} never comes: no such day is in the calendar")


class _Every:
    """`@every`: whole multiples of the interval since 1970-01-01T00:00:00Z, whoever asks when."""

    def __init__(self, interval: int) -> None:
        self._interval = interval

    def after(self, second: int) -> int | None:
        return (second // self._interval + 1) * self._interval

    def until(self, second: int) -> Iterator[int]:
        return count(second // self._interval * self._interval, -self._interval)


class _Fields:
    """The six fields of cron on the local clock of a zone."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self._expression = expression
        self._zone = zone
        hours = CronSim(expression, _SEARCHED_FROM).hours
        self._goes_on = len(hours) == 24 and zone.key != "UTC"
        """Whether it goes by real time where the clock is moved."""

    def after(self, second: int) -> int | None:
        start = self._local(second)
        if start is None:
            return None
        found = map(self._moment, CronSim(self._expression, self._comparable(start)))
        return next((moment for moment in found if moment > second), None)

    def until(self, second: int) -> Iterator[int]:
        start = self._local(second + 1)  # the search begins beside where it starts from
        if start is None:
            return iter(())
        # What the clock is about to show again was due the first time.
        again = timedelta(0) if self._goes_on else _shown_again(start)
        past = CronSim(self._expression, self._comparable(start) + again, reverse=True)
        return dropwhile(lambda moment: moment > second, map(self._moment, past))

    def _local(self, second: int) -> datetime | None:
        if not _FIRST <= second <= _LAST:
            return None
        return datetime.fromtimestamp(second, self._zone)

    def _comparable(self, local: datetime) -> datetime:
        return local if self._goes_on else local.replace(tzinfo=None)

    def _moment(self, found: datetime) -> int:
        local = found if self._goes_on else found.replace(tzinfo=self._zone)
        moment = int(local.timestamp())
        if self._goes_on or self._offset(moment) == local.utcoffset():
            return moment
        # A time in a gap, read by the clock before it, is beyond the gap by as much as it is in it.
        late = range(moment - _LONGEST_GAP, moment + 1)
        return late[
            bisect_left(late, True, key=lambda at: self._offset(at) == self._offset(moment))
        ]

    def _offset(self, moment: int) -> timedelta | None:
        return datetime.fromtimestamp(moment, self._zone).utcoffset()


def _shown_again(local: datetime) -> timedelta:
    """Return how far the clock was put back, when it shows *local* the second time; otherwise 0."""
    first, second = local.replace(fold=0).utcoffset(), local.utcoffset()
    assert first is not None
    assert second is not None
    return first - second if local.fold else timedelta(0)
