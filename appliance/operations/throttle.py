"""The throttle: makes guessing passwords slow, per account and per address, in bounded memory.

The first failures are free; each further one doubles the time until the next attempt, up to
15 minutes. Nothing is locked for good, and what is refused does not count. An hour without failure
forgets them. An address that once logged in to an account is counted apart from all others, so that
a stranger who guesses cannot keep its user out.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from appliance import clock
from appliance.errors import TooManyRequests

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
        """Count one failure less: the attempt succeeded."""
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
    """A login under way, under the names by which it is counted."""

    account: str
    address: str
    counted_as: str


class Throttle:
    """Admits attempts to log in. Each counts as failed until it succeeds, so that a burst counts."""

    def __init__(self, *, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self.accounts = Backoff(FREE_PER_ACCOUNT, monotonic)
        self.addresses = Backoff(FREE_PER_ADDRESS, monotonic)
        self._familiar: OrderedDict[str, None] = OrderedDict()

    def admit(self, account: str, address: str) -> Attempt:
        """Begin an attempt. Raises TooManyRequests with `retry_after` in seconds."""
        place = _place(address)
        pair = f"{account} {place}"
        attempt = Attempt(account, place, pair if pair in self._familiar else account)
        self._require_no_wait(attempt)
        self.accounts.add(attempt.counted_as)
        self.addresses.add(place)
        return attempt

    def succeeded(self, attempt: Attempt) -> None:
        """End an attempt well. Others' failures from the same address stay counted."""
        self.accounts.forget(attempt.counted_as)
        self.addresses.take_back(attempt.address)
        pair = f"{attempt.account} {attempt.address}"
        self._familiar[pair] = None
        self._familiar.move_to_end(pair)
        if len(self._familiar) > CAPACITY:
            self._familiar.popitem(last=False)

    def _require_no_wait(self, attempt: Attempt) -> None:
        wait_s = max(
            self.accounts.wait_s(attempt.counted_as), self.addresses.wait_s(attempt.address)
        )
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            raise TooManyRequests(
                f"Too many failed logins; try again in {seconds} s.", retry_after=seconds
            )


def _place(address: str) -> str:
    """Return what one party controls: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ip_network((int(parsed), 64), strict=False))
    return str(parsed)
