"""Rate limits: how many requests a key, or an address that shows none, may make in a period.

They are checked before anything else is done, so a request that is refused costs next to nothing.
A key is known to be good only after it was looked up. Until then its requests count for the address
they come from; once it has proven good they count for the key alone, wherever they come from.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from appliance import clock
from appliance.config import RateLimitSettings
from appliance.errors import RateLimited
from appliance.operations.actors import SYSTEM
from appliance.operations.addresses import network
from appliance.server.headers import Field
from appliance.server.problem import describe, send_problem

CAPACITY = 10_000
"""Keys, and addresses, that are remembered. The one that was idle longest is forgotten first."""
MAX_TOKEN_BYTES = 200
ROUNDING = 1e-6
"""The part of a request that may come of calculating with floats, and means nothing."""


class Allowance(NamedTuple):
    """What somebody may still do; times are seconds from now.

    `limit` 0 means no limit. `reset_s` is when all of it is there again; `wait_s` is 0 unless the
    request is one too many.
    """

    limit: int
    remaining: int
    reset_s: float
    wait_s: float = 0.0

    def fields(self) -> Iterator[Field]:
        """Yield the header fields that tell the client."""
        if not self.limit:
            return
        seconds = math.ceil(self.reset_s)
        moment = clock.now_us() // clock.MICROSECONDS + seconds
        for prefix, reset in ((b"ratelimit-", seconds), (b"x-ratelimit-", moment)):
            yield prefix + b"limit", b"%d" % self.limit
            yield prefix + b"remaining", b"%d" % self.remaining
            yield prefix + b"reset", b"%d" % reset


class Rate:
    """*limit* requests in each period, by name, counted by the generic cell rate algorithm.

    Of each name one number is kept: when everything that it used will have been given back.
    """

    def __init__(
        self, limit: int, period_s: float, monotonic: Callable[[], float] = clock.monotonic
    ) -> None:
        self.limit = limit
        self._period = period_s
        self._each = period_s / limit if limit else 0.0
        self._monotonic = monotonic
        self._full_at: OrderedDict[bytes | str, float] = OrderedDict()

    def __contains__(self, name: bytes | str) -> bool:
        return name in self._full_at

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: bytes | str) -> Allowance:
        """Count a request of *name*, unless it is one too many."""
        now = self._monotonic()
        used_s = max(self._full_at.get(name, now) - now, 0.0)
        wait_s = used_s + self._each - self._period
        if wait_s > self._each * ROUNDING:
            self._full_at.move_to_end(name)
            return Allowance(self.limit, 0, used_s, wait_s)
        used_s += self._each
        self._put(name, now + used_s)
        left = (self._period - used_s) / self._each if self.limit else 0
        return Allowance(self.limit, int(left + ROUNDING), used_s)

    def give_back(self, name: bytes | str) -> None:
        """Count a request less."""
        if name in self._full_at:
            self._full_at[name] -= self._each

    def forget(self, name: bytes | str) -> None:
        """Know *name* no more."""
        self._full_at.pop(name, None)

    def _put(self, name: bytes | str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > CAPACITY:
            self._full_at.popitem(last=False)


class RateLimits:
    """Wraps an ASGI application. Requests for the paths *unlimited* are neither counted nor refused."""

    def __init__(
        self,
        app: ASGIApp,
        settings: RateLimitSettings,
        *,
        unlimited: frozenset[str] = frozenset(),
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._app = app
        self._unlimited = unlimited
        self._addresses = Rate(settings.address_limit, settings.address_period, monotonic)
        self._keys = Rate(settings.key_limit, settings.key_period, monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, or say how long to wait."""
        if (scope["path"].rstrip("/") or "/") in self._unlimited:
            await self._app(scope, receive, send)
            return
        request = _Request(scope, self._addresses, self._keys)
        if request.allowance.wait_s:
            await _refuse(scope, send, request.allowance)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.settle(scope, message["status"])
                message["headers"] = [*message["headers"], *request.allowance.fields()]
            await send(message)

        await self._app(scope, receive, told)


class _Request:
    """A request that was counted: for its key when that is known to be good, else for its address."""

    def __init__(self, scope: Scope, addresses: Rate, keys: Rate) -> None:
        self._addresses, self._keys = addresses, keys
        client = scope.get("client")
        self._address = network(client[0] if client else "")
        self._key = _key(scope)
        self._by_key = self._key in keys
        self.allowance = keys.take(self._key) if self._by_key else addresses.take(self._address)

    def settle(self, scope: Scope, status: int) -> None:
        """Count it for whom it should have counted, now that the key was looked at."""
        if self._by_key:
            if status == 401:
                self._keys.forget(self._key)
        elif self._key and scope["state"].get("actor", SYSTEM) is not SYSTEM:
            self._addresses.give_back(self._address)
            self.allowance = self._keys.take(self._key)


def _key(scope: Scope) -> bytes:
    """Return what stands for the key of a request in memory, nothing when it shows none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return sha256(value).digest() if len(value) <= MAX_TOKEN_BYTES else b""
    return b""


async def _refuse(scope: Scope, send: Send, allowance: Allowance) -> None:
    seconds = math.ceil(allowance.wait_s)
    message = f"More than {allowance.limit} requests in a short time; go on in {seconds} s."
    told = describe(RateLimited(message), scope["path"])
    await send_problem(send, told, *allowance.fields(), (b"retry-after", b"%d" % seconds))
