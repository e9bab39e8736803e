"""A closed loop: so many runs in flight, each followed by the next, for some seconds.

It needs nothing but Python, for it also runs inside the environments of the peers.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple


class Load(NamedTuple):
    """What a closed loop did."""

    runs: int
    seconds: float
    p50_ms: float

    @property
    def per_s(self) -> float:
        """Runs per second."""
        return self.runs / self.seconds


class _Clock:
    """Times of the calls of one loop; each caller calls at least once."""

    def __init__(self, seconds: float) -> None:
        self._times: list[float] = []
        self._begin = time.perf_counter()
        self._end = self._begin + seconds

    def took(self, start: float) -> bool:
        """Note a call that began at *start*; say whether there is time for another."""
        now = time.perf_counter()
        self._times.append(now - start)
        return now < self._end

    def load(self) -> Load:
        """Return what was noted."""
        seconds = time.perf_counter() - self._begin
        return Load(len(self._times), seconds, statistics.median(self._times) * 1000)


async def closed_loop(callers: Sequence[Callable[[], Awaitable[object]]], seconds: float) -> Load:
    """Let each caller call, again and again for *seconds*; what has begun is waited for."""
    clock = _Clock(seconds)

    async def repeat(call: Callable[[], Awaitable[object]]) -> None:
        start = time.perf_counter()
        await call()
        while clock.took(start):
            start = time.perf_counter()
            await call()

    await asyncio.gather(*map(repeat, callers))
    return clock.load()


def closed_loop_of_threads(call: Callable[[], object], in_flight: int, seconds: float) -> Load:
    """Do the same with a thread for each caller.

    Raises:
        Exception: the first that a call has raised.

    """
    clock, failures = _Clock(seconds), list[Exception]()

    def repeat() -> None:
        try:
            start = time.perf_counter()
            call()
            while clock.took(start) and not failures:
                start = time.perf_counter()
                call()
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that asked
            failures.append(error)

    threads = [threading.Thread(target=repeat) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return clock.load()
