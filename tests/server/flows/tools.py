"""Tools that are quick, slow, or that fail until a file is there."""

from __future__ import annotations

import time
from pathlib import Path


def echo(**values: object) -> dict[str, object]:
    return values


def double(number: int, by: int) -> dict[str, int]:
    return {"number": number * by}


def nap(seconds: float = 0.0) -> dict[str, float]:
    time.sleep(seconds)
    return {"slept": seconds}


def need(path: str) -> dict[str, bool]:
    if not Path(path).exists():
        message = f"{path} is missing"
        raise FileNotFoundError(message)
    return {"found": True}


def hold(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)
