"""The throttle: makes guessing passwords slow, per account and per address, in bounded memory.

The first failures are free; each further one doubles the time until the next attempt, up to
15 minutes. Nothing is locked for good, and what is refused does not count. An hour without failure
forgets them. An address that once logged in to an account is counted for that account apart, so that
a stranger who guesses, even from behind the same proxy, cannot keep its user out.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from appliance import clock
from appliance.errors import TooManyRequests
from appliance.operations.addresses import network

FREE_PER_ACCOUNT = 5
FREE_PER_ADDRESS = 20
MAX_DELAY_S = 900.0
MEMORY_S = 3600.0
CAPACITY = 10_000


class _Failures(NamedTuple):
    number: int
    at: float
    until: float


class Backoff:
    """Failures by name. The name that was idle longest is forgotten when there are too many."""

    def __init__(self, free: int, monotonic: Callable[[], float]) -> None:
        self._free = free
        self._monotonic = monotonic
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, name: str) -> float:
        """Return how many seconds *name* has to wait before the next attempt; 0 is none."""
        return max(0.0, self._get(name).until - self._monotonic())

    def add(self, name: str) -> None:
        """Count a failure."""
        count = self._get(name).number + 1
        doublings = count - self._free - 1
        delay = 0.0 if doublings < 0 else min(MAX_DELAY_S, 2.0 ** min(doublings, 30))
        now = self._monotonic()
        self._put(name, _Failures(count, now, now + delay))

    def take_back(self, name: str) -> None:
        """Count one failure less, and wait no more: the last attempt was none."""
        before = self._get(name)
        if before.number:
            self._put(name, _Failures(before.number - 1, before.at, 0.0))

    def forget(self, name: str) -> None:
        """Count from zero."""
        self._failures.pop(name, None)

    def _get(self, name: str) -> _Failures:
        failures = self._failures.get(name)
        if failures is None or failures.at + MEMORY_S <= self._monotonic():
            return _Failures(0, 0.0, 0.0)
        return failures

    def _put(self, name: str, failures: _Failures) -> None:
        self._failures[name] = failures
        self._failures.move_to_end(name)
        if len(self._failures) > CAPACITY:
            self._failures.popitem(last=False)


class Attempt(NamedTuple):
    """A login under way: who comes from where, and under which names it is counted."""

    pair: str
    names: tuple[tuple[Backoff, str], ...]


class Throttle:
    """Admits attempts to log in. Each counts as failed until it succeeds, so that a burst counts."""

    def __init__(self, *, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._accounts = Backoff(FREE_PER_ACCOUNT, monotonic)
        self._addresses = Backoff(FREE_PER_ADDRESS, monotonic)
        self._pairs = Backoff(FREE_PER_ACCOUNT, monotonic)
        self._familiar: OrderedDict[str, None] = OrderedDict()

    def admit(self, account: str, address: str) -> Attempt:
        """Begin an attempt. Raises TooManyRequests with `retry_after` in seconds."""
        attempt = self._attempt(account, network(address))
        wait_s = max(backoff.wait_s(name) for backoff, name in attempt.names)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            message = f"Too many failed logins; try again in {seconds} s."
            raise TooManyRequests(message, retry_after=seconds)
        for backoff, name in attempt.names:
            backoff.add(name)
        return attempt

    def succeeded(self, attempt: Attempt) -> None:
        """End an attempt well. Failures on other accounts from its address stay counted."""
        for backoff, name in attempt.names:
            if backoff is self._addresses:
                backoff.take_back(name)
            else:
                backoff.forget(name)
        self._familiar[attempt.pair] = None
        self._familiar.move_to_end(attempt.pair)
        if len(self._familiar) > CAPACITY:
            self._familiar.popitem(last=False)

    def withdraw(self, attempt: Attempt) -> None:
        """End an attempt that was not decided, because something else went wrong."""
        for backoff, name in attempt.names:
            backoff.take_back(name)

    def _attempt(self, account: str, place: str) -> Attempt:
        pair = f"{account} {place}"
        if pair in self._familiar:
            return Attempt(pair, ((self._pairs, pair),))
        return Attempt(pair, ((self._accounts, account), (self._addresses, place)))
