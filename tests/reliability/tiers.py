"""How much of a scenario is run: `RELIABILITY` is short (the default), full or long."""

from __future__ import annotations

import os

TIERS = ("short", "full", "long")
TIER = os.environ.get("RELIABILITY", "short")
assert TIER in TIERS, f"RELIABILITY is {TIER!r}; it must be one of {', '.join(TIERS)}."


def sized(short: int, full: int, long: int) -> int:
    """Return the number that belongs to the tier."""
    return (short, full, long)[TIERS.index(TIER)]


def kinds(short: str) -> list[str]:
    """Return the databases that a scenario is run on: in the short tier one of the two."""
    return [short] if TIER == "short" else ["sqlite", "postgres"]
