"""Claims: runs that no node holds are taken, each by one. For PostgreSQL, which several nodes share."""

from __future__ import annotations

from typing import Any

from appliance.store.database import Transaction

LINE_KEY = 0x636F6D70
"""The class of the advisory locks on lines; the rest of a lock is the hash of the workflow."""


class Claims:
    """What *node_id* takes. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction, node_id: str) -> None:
        self._tx = tx
        self._node_id = node_id

    def orphans(self, limit: int) -> list[str]:
        """Take at most *limit* runs that were under way; return their ids."""
        found = self._tx.all("claim_orphans", node_id=self._node_id, row_limit=limit)
        return [row["workflow_exec_id"] for row in found]

    def in_line(self, workflow_id: str, limit: int) -> list[str]:
        """Take the first runs in the line of a workflow, at most *limit*; return their ids."""
        found = self._tx.all(
            "claim_in_line", node_id=self._node_id, workflow_id=workflow_id, row_limit=limit
        )
        return [row["workflow_exec_id"] for row in found]

    def run(self, exec_id: str) -> None:
        """Take a run, if it has not ended and nobody holds it."""
        self._tx.run("claim_run", node_id=self._node_id, workflow_exec_id=exec_id)

    def put_back(self, exec_id: str) -> None:
        """Let go of a run that has not begun."""
        self._tx.run("put_back_in_line", node_id=self._node_id, workflow_exec_id=exec_id)

    def holder(self, exec_id: str) -> str | None:
        """Return the node that holds a run, None when nobody does or it has ended."""
        row = self._tx.one("find_holder", workflow_exec_id=exec_id)
        return None if row is None else row["node_id"]

    def lines(self) -> list[str]:
        """Return the workflows that have runs in line, in order."""
        return [row["workflow_id"] for row in self._tx.all("list_lines")]

    def lock(self, workflow_id: str) -> None:
        """Be the only node that counts the runs of a workflow until this transaction has ended."""
        self._tx.one("lock_line", key=LINE_KEY, workflow_id=workflow_id)

    def under_way(self, workflow_id: str) -> int:
        """Return how many runs of a workflow have begun, or are taken, and have not ended."""
        row: Any = self._tx.one("count_under_way", workflow_id=workflow_id)
        return int(row["runs"])
