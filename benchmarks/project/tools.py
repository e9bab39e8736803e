"""The cheapest tool there is, for what is measured is the engine around it; three more, for what takes its time."""

from __future__ import annotations

import time
from pathlib import Path


def noop(n: int = 0) -> dict[str, int]:
    """Return what was given."""
    return {"n": n}


def stay(n: int, notes: str) -> dict[str, int]:
    """Note that run *n* has begun and take three seconds."""
    _note(f"begin {n}", notes)
    time.sleep(3)
    return {"n": n}


def leave(n: int, notes: str) -> dict[str, int]:
    """Note that run *n* has ended."""
    _note(f"end {n}", notes)
    return {"n": n}


def hold() -> None:
    """Take an hour, or until the run is canceled."""
    time.sleep(3600)


def _note(text: str, notes: str) -> None:
    with Path(notes).open("a") as file:
        file.write(f"{text}\n")
