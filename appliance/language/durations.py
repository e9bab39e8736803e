"""Durations as people write them: `90s`, `1h30m`, `5 minutes`, `1d`. Seconds once parsed."""

from __future__ import annotations

import re

from appliance.errors import InvalidInput

MAX_SECONDS = 100 * 365 * 86_400.0
"""A hundred years: what is longer is a mistake, and would not fit where times are stored."""

UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
    "w": 604_800.0,
    "week": 604_800.0,
}
"""Seconds of a unit; each may also have an s at its end."""
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}) {0,3}([a-zµμ]+)(?: and |[ ,]*)")
_MAX_LENGTH = 100


def parse_duration(text: str) -> float:
    """Return the seconds that *text* means, at least 0. Raises InvalidInput saying what is accepted."""
    rest = text.strip().lower() if len(text) <= _MAX_LENGTH else ""
    if rest == "0":
        return 0.0
    seconds = 0.0
    while match := _PART.match(rest):
        unit = UNITS.get(match[2]) or UNITS.get(match[2].removesuffix("s"))
        if unit is None:
            break
        seconds += float(match[1]) * unit
        rest = rest[match.end() :]
        if not rest:
            return _bounded(seconds, text)
    raise InvalidInput(
        f"{text[:40]!r} is not a duration; write for example 90s, 1h30m, '5 minutes' or 1d"
    )


def _bounded(seconds: float, text: str) -> float:
    if seconds > MAX_SECONDS:
        raise InvalidInput(f"{text[:40]!r} is longer than 100 years")
    return seconds
