"""Runs and the definitions that they are pinned to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.store.database import Param, Row, Transaction

LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""Not less than any id, whatever the collation: where a listing from the newest on begins."""


class WorkflowStates:
    """Runs of workflows. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, exec_id: str) -> Row | None:
        """Return a run, or None."""
        return self._tx.one("get_workflow_state", workflow_exec_id=exec_id)

    def with_idempotency_key(self, key: str) -> Row | None:
        """Return id, workflow, input and age of the run that was started under *key*, or None."""
        return self._tx.one("find_idempotency_key", idempotency_key=key)

    def release_idempotency_key(self, key: str, *, before: int) -> bool:
        """Let *key* be used again if its run began by *before*. Tell whether that was so."""
        return self._tx.run("release_idempotency_key", idempotency_key=key, before=before) == 1

    def page(
        self,
        *,
        workflow_id: str | None,
        statuses: Sequence[str],
        since: str,
        before: str,
        limit: int,
    ) -> list[Row]:
        """Return runs without payload, newest first, with ids from *since* on and below *before*.

        No *statuses* means any; *since* may be empty.
        """
        listed = f",{','.join(statuses)}," if statuses else ""
        if workflow_id is None:
            return self._tx.all(
                "list_workflow_states",
                statuses=listed,
                since=since,
                before=before,
                row_limit=limit,
            )
        return self._tx.all(
            "list_workflow_states_of",
            workflow_id=workflow_id,
            statuses=listed,
            since=since,
            before=before,
            row_limit=limit,
        )

    def active(self, *, after: str, limit: int) -> list[Row]:
        """Return runs that have not ended, oldest first, with ids greater than *after*."""
        return self._tx.all("list_active_workflow_states", after=after, row_limit=limit)


class Definitions:
    """Texts of workflows under their hash. Every method is one statement."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def keep(self, rows: Sequence[Mapping[str, Param]]) -> None:
        """Store definitions that are not there yet."""
        self._tx.many("insert_definition", rows)

    def get(self, definition_hash: str) -> str | None:
        """Return the text under *definition_hash*, or None."""
        row = self._tx.one("get_definition", hash=definition_hash)
        return None if row is None else str(row["source"])
