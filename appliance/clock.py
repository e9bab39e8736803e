"""The only place that reads time. Wall time is microseconds since the epoch, UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime

MICROSECONDS = 1_000_000


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
    moment = datetime.fromtimestamp(us // MICROSECONDS, UTC).replace(microsecond=us % MICROSECONDS)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
