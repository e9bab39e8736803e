"""Membership: what a server knows of the others that share its database, and they of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from appliance.store.database import Row, T, Transaction, Work

Hear = Callable[[str], None]


class Load(NamedTuple):
    """How much a node has to do."""

    runs: int
    calls: int


class Membership(Protocol):
    """One server among those of a database, or the only one. For one event loop.

    Callbacks are set by who uses it, before it is opened.
    """

    node_id: str | None
    """The name under which this server holds runs; None for the only one, and while cut off."""

    shared: bool
    """Whether other servers may work on the same database."""

    @property
    def is_member(self) -> bool:
        """Whether this server may hold runs now."""
        ...

    leads: bool
    """Whether this is the server that has to see to what one of them has to do."""

    size: int
    """How many servers there are, as far as this one knows."""

    on_lost: Callable[[], None]
    """Called when others took over what this node held."""

    on_joined: Callable[[], None]
    """Called when there may be something to take: after joining, and when a node has gone."""

    on_lead: Callable[[bool], None]
    """Called when `leads` has changed."""

    async def open(self, load: Callable[[], Load]) -> None:
        """Become a member, and stay one until it is closed; *load* tells how much there is to do.

        Raises the errors of `Database.write`.
        """
        ...

    async def close(self) -> None:
        """Give everything back and leave. Raises nothing."""
        ...

    def announce(self, url: str) -> None:
        """Tell where this server answers."""
        ...

    def members(self, tx: Transaction) -> tuple[list[Row], int]:
        """Return all servers, the oldest first, and the time that their leases go by."""
        ...

    @property
    def sure(self) -> bool:
        """Whether nobody can have taken over what this server holds."""
        ...

    async def made_sure(self) -> bool:
        """Wait until that is so again; False when others did take over."""
        ...

    def holds(self, node_id: str | None) -> bool:
        """Whether a run that is stored as that of *node_id* is this server's."""
        ...

    def hear(self, topic: str, hear: Hear) -> None:
        """Have *hear* called with what others tell about *topic*, and with "" where it was missed."""
        ...

    def tell(self, topic: str, text: str = "") -> None:
        """Tell the others about *topic*. It may be lost, so say only where to look."""
        ...

    def tell_with(self, tx: Transaction, topic: str, text: str = "") -> None:
        """Tell the others if and when *tx* is durable."""
        ...

    def write(self, work: Work[T]) -> Future[T]:
        """Do what `Database.write` does, but only as a member. Raises Fenced too, by the future."""
        ...

    def fenced(self, node_id: str | None) -> None:
        """Take note that a write as *node_id* was refused, for that is no member any more."""
        ...
