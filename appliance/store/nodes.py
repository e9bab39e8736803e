"""Nodes: the servers that share a database of PostgreSQL, each a member for as long as its lease."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.store.database import Param, Row, Transaction


class Nodes:
    """Members by id. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def now(self) -> int:
        """Return the time of the database in microseconds; leases go by it."""
        row: Any = self._tx.one("database_clock")
        return int(row["now"])

    def insert(self, row: Mapping[str, Param]) -> None:
        """Make a server a member."""
        self._tx.run("insert_node", **row)

    def renew(self, row: Mapping[str, Param]) -> bool:
        """Prolong a lease; False when the node is no member any more."""
        return self._tx.run("renew_node", **row) == 1

    def all(self) -> list[Row]:
        """Return every member, the oldest first."""
        return self._tx.all("list_nodes")

    def hold(self, node_id: str) -> bool:
        """Keep a member from being declared dead during this transaction; False if it is none."""
        return self._tx.one("hold_node", id=node_id) is not None

    def evict(self, session: int) -> None:
        """End the connections by which a member writes."""
        self._tx.all("evict_node", session=session)

    def dead(self, node_id: str, home: str, now: int) -> list[str]:
        """Return members other than *node_id* that are dead at *now*, locked against each other."""
        found = self._tx.all("find_dead_nodes", id=node_id, home=home, now=now)
        return [row["id"] for row in found]

    def disown(self, node_id: str) -> int:
        """Let go of every run of a node that has not ended; return how many there were."""
        return self._tx.run("disown_runs", node_id=node_id)

    def delete(self, node_id: str) -> None:
        """End a membership, and forget what the node was asked to do."""
        self._tx.run("delete_node", id=node_id)

    def notify(self, text: str) -> None:
        """Tell the other nodes something, once this transaction has ended well."""
        self._tx.one("notify_nodes", text=text)
