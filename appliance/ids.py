"""Identifiers: UUID version 7 (RFC 9562), so that text order is creation order on this node."""

from __future__ import annotations

import os
import threading
import uuid

from appliance import clock

_MOST_AHEAD = 2 * 24 * 60 * 60 * 1000 << 12
"""Two days in ticks: what is so far ahead of the clock was made by a clock that was set wrong."""

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a fresh UUIDv7 in its 36-character text form, greater than those made before here.

    The 12 bits after the millisecond hold its fraction (RFC 9562, method 3); when the clock stands
    still or jumps back, the count goes on from the last value. Only a clock that was days ahead is
    followed back, as by a restart: else nothing would be found by its time any more.
    """
    global _last  # noqa: PLW0603 - the sequence is one per process by definition
    now = clock.now_us()
    ticks = (now // 1000 << 12) | (now % 1000 * 4096 // 1000)
    with _lock:
        _last = ticks if _last - ticks > _MOST_AHEAD else max(ticks, _last + 1)
        ticks = _last
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62
    value |= int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def bound(us: int) -> str:
    """Return the least id that can be made in the millisecond of *us* or later.

    So a time is a place among the ids, and what was made since needs no index of its own.
    """
    value = max(us, 0) // 1000 << 80 | 0x7 << 76 | 0b10 << 62
    return str(uuid.UUID(int=min(value, (1 << 128) - 1)))


def is_id(text: str) -> bool:
    """Tell whether *text* has the canonical form that `new_id` makes (any UUID version)."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
