"""The cheapest tool there is: what is measured is the engine around it."""

from __future__ import annotations


def noop(n: int = 0) -> dict[str, int]:
    """Return what was given."""
    return {"n": n}
