"""How long the server waits for a client, how much it takes from it, and who is connected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from appliance.config import ServerSettings

MAX_HEADER_BYTES = 65_536
MAX_HEADER_COUNT = 100
MIN_BODY_RATE = 65_536
"""Bytes per second that the deadline of a declared body leaves on top of `body_timeout`."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and sizes for every connection, and who is connected."""

    server: ServerSettings
    max_connections: int = 2048
    max_per_address: int = 1024
    connected: Counter[str] = msgspec.field(default_factory=Counter)
    on_refusal: Callable[[int], None] = lambda _: None
    """Told the status of each answer that was given here and never reached the application."""

    def enter(self, address: str) -> bool:
        """Count a connection from *address*; False when it is one too many."""
        self.connected[address] += 1
        return (
            self.connected[address] <= self.max_per_address
            and self.connected.total() <= self.max_connections
        )

    def leave(self, address: str) -> None:
        """Forget a connection that was counted."""
        self.connected[address] -= 1
        if self.connected[address] <= 0:
            del self.connected[address]
