"""The only place that reads time. Wall time is microseconds since the epoch, UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

MICROSECONDS = 1_000_000

_EPOCH = datetime.fromtimestamp(0, UTC)


def now_us() -> int:
    """Return the wall clock in microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


def monotonic() -> float:
    """Return seconds of a clock that never jumps; only differences have a meaning."""
    return time.monotonic()


def to_rfc3339(us: int | None) -> str | None:
    """Render microseconds since the epoch as RFC 3339 in UTC with six decimals; None stays None."""
    if us is None:
        return None
    seconds, rest = divmod(us, MICROSECONDS)
    return f"{_second(seconds)}.{rest:06}Z"


@lru_cache(1024)  # the times of a run lie close together, and this is most of the work
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def from_rfc3339(text: str) -> int:
    """Return the microseconds since the epoch of a moment such as `2026-01-31T09:30:00Z`.

    Raises: ValueError when it is no such text, names no zone or lies before 1970.
    """
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text.upper() or moment < _EPOCH:
        msg = f'{text!r} is no time; write it as "2026-01-31T09:30:00Z"'
        raise ValueError(msg)
    return (moment - _EPOCH) // timedelta(microseconds=1)
