"""Moments and durations. The clock is the environment's; the local time zone is UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from appliance.language.template import layouts
from appliance.language.template.errors import Fault
from appliance.language.template.functions.signature import anything, real, row, text
from appliance.language.template.limits import ITEM, Run
from appliance.language.template.values import kind

_PART = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([+-]?)((?:{_PART})+|0)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_UNITS = {"y": 31_536_000, "mo": 2_592_000, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = "2006-01-02"


def _now(run: Run) -> datetime:
    return _EPOCH + timedelta(microseconds=run.environment.now_us)


def _moment(_run: Run, value: Any) -> datetime:
    """Accept a moment, seconds since 1970, or text like 2026-01-31T12:00:00Z."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return layouts.read(layouts.RFC3339, value[:100])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _EPOCH + timedelta(seconds=value)
    raise Fault(f"needs a moment, seconds since 1970 or RFC 3339 text, not {kind(value)}")


def _layout(run: Run, value: Any) -> str:
    if len(text(run, value)) > 1000:
        raise Fault("the layout is longer than 1000 characters")
    run.spend(ITEM * 8 * len(value))
    return str(value)


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return UTC if name in ("", "UTC", "Local") else ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise Fault(
            f'the time zone "{name[:60]}" is not known; write one like Europe/Lisbon'
        ) from None


def _in_zone(layout: str, moment: datetime, zone: str) -> str:
    return layouts.write(layout, moment.astimezone(_zone(zone)))


def _seconds(_run: Run, value: Any) -> float:
    """Accept a duration like -1h30m, or seconds."""
    if not isinstance(value, str):
        return real(_run, value)
    found = _DURATION.fullmatch(value[:100])
    if not found:
        raise Fault("a duration looks like 1h30m or -1.5h; its units are h m s ms us ns")
    total = sum(float(size) * _SECONDS[unit] for size, unit in re.findall(_PART, value))
    return -total if found[1] == "-" else total


def _shown(seconds: float) -> str:
    """Show whole seconds as Go shows a duration: 2h0m5s."""
    minutes, rest = divmod(abs(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if round(seconds) < 0 else ""
    if hours:
        return f"{sign}{hours}h{minutes}m{rest}s"
    return f"{sign}{minutes}m{rest}s" if minutes else f"{sign}{rest}s"


def _since(run: Run, moment: datetime) -> float:
    return (_now(run) - moment).total_seconds()


def _rounded(run: Run, value: Any) -> str:
    """Show a duration, or the time since a moment, in its largest unit only."""
    seconds = _since(run, value) if isinstance(value, datetime) else _seconds(run, value)
    for unit, size in _UNITS.items():
        if abs(seconds) >= size:
            return f"{'-' if seconds < 0 else ''}{int(abs(seconds) // size)}{unit}"
    return "0s"


MEMBERS: dict[str, Callable[..., Any]] = {
    "Year": lambda moment: moment.year,
    "Month": lambda moment: layouts.MONTHS[moment.month - 1],
    "Day": lambda moment: moment.day,
    "Hour": lambda moment: moment.hour,
    "Minute": lambda moment: moment.minute,
    "Second": lambda moment: moment.second,
    "Weekday": lambda moment: layouts.DAYS[moment.weekday()],
    "YearDay": lambda moment: moment.timetuple().tm_yday,
    "Unix": lambda moment: (moment - _EPOCH) // timedelta(seconds=1),
    "UnixMilli": lambda moment: (moment - _EPOCH) // timedelta(milliseconds=1),
    "UnixMicro": lambda moment: (moment - _EPOCH) // timedelta(microseconds=1),
    "UnixNano": lambda moment: (moment - _EPOCH) // timedelta(microseconds=1) * 1000,
    "UTC": lambda moment: moment.astimezone(UTC),
}
"""What a template may ask a moment by name: `now.Year`."""

METHODS = {"Format": row(lambda moment, layout: layouts.write(layout, moment), _moment, _layout)}
"""What a template may ask a moment with an argument: `now.Format "15:04"`."""

_MODIFY = row(lambda span, moment: moment + timedelta(seconds=span), _seconds, _moment)
_IN_ZONE = row(_in_zone, _layout, _moment, text)
_TO_DATE = row(layouts.read, _layout, text)
TABLE = {
    "now": row(_now, run=True),
    "date": row(layouts.write, _layout, _moment),
    "dateInZone": _IN_ZONE,
    "date_in_zone": _IN_ZONE,
    "htmlDate": row(lambda moment: layouts.write(_DATE, moment), _moment),
    "htmlDateInZone": row(lambda moment, zone: _in_zone(_DATE, moment, zone), _moment, text),
    "dateModify": _MODIFY,
    "date_modify": _MODIFY,
    "mustDateModify": _MODIFY,
    "must_date_modify": _MODIFY,
    "toDate": _TO_DATE,
    "mustToDate": _TO_DATE,
    "ago": row(lambda run, moment: _shown(_since(run, moment)), _moment, run=True),
    "unixEpoch": row(lambda moment: str(MEMBERS["Unix"](moment)), _moment),
    "duration": row(_shown, real),
    "durationRound": row(_rounded, anything, run=True),
}
