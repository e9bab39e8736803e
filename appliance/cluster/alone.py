"""The membership of a server that has its database for itself, as a file of SQLite always is had."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from appliance import __version__, clock, ids
from appliance.cluster.membership import Hear, Load
from appliance.store.database import Database, Row, T, Transaction, Work


class Alone:
    """There is nobody else. See `Membership`."""

    node_id: str | None = None
    shared = False
    leads = True
    size = 1
    on_lost: Callable[[], None]
    on_joined: Callable[[], None]
    on_lead: Callable[[bool], None]

    def __init__(self, db: Database, name: str = "") -> None:
        self._db = db
        self._url = ""
        self._load: Callable[[], Load] = lambda: Load(0, 0)
        self._about = {
            "id": ids.new_id(),
            "name": name,
            "version": __version__,
            "started_at": clock.now_us(),
            "renewed_at": None,
            "lease_until": None,
        }

    async def open(self, load: Callable[[], Load]) -> None:
        """There is nothing to join."""
        self._load = load

    async def close(self) -> None:
        """There is nothing to leave."""

    def announce(self, url: str) -> None:
        """Tell where this server answers."""
        self._url = url

    def members(self, tx: Transaction) -> tuple[list[Row], int]:  # noqa: ARG002 - see `Membership`
        """Return this server, which has no lease."""
        row: Any = {**self._about, "url": self._url, **self._load()._asdict()}
        return [row], 0

    @property
    def is_member(self) -> bool:
        """There is nothing to be cut off from."""
        return True

    @property
    def sure(self) -> bool:
        """There is nobody who could take anything over."""
        return True

    async def made_sure(self) -> bool:
        """There is nothing to wait for."""
        return True

    def holds(self, node_id: str | None) -> bool:  # noqa: ARG002 - see `Membership`
        """Hold every run."""
        return True

    def hear(self, topic: str, hear: Hear) -> None:
        """Nobody tells anything."""

    def tell(self, topic: str, text: str = "") -> None:
        """Nobody hears it."""

    def tell_with(self, tx: Transaction, topic: str, text: str = "") -> None:
        """Nobody hears it."""

    def write(self, work: Work[T]) -> Future[T]:
        """Do what `Database.write` does."""
        return self._db.write(work)

    def fenced(self, node_id: str | None) -> None:
        """Never happens."""
