"""Tools of the server's tests."""

from __future__ import annotations

import time


def greet(name: str) -> dict[str, str]:
    return {"text": f"Hello, {name}!"}


def nap(seconds: float) -> dict[str, float]:
    time.sleep(seconds)
    return {"slept": seconds}


def fail() -> None:
    message = "it broke"
    raise ValueError(message)
