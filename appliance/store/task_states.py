"""Tasks of runs. A task is known by its run and its number in it (`seq`, from 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.errors import VersionConflict
from appliance.store.database import Param, Row, Transaction


class TaskStates:
    """Task states. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, rows: Sequence[Mapping[str, Param]]) -> None:
        """Begin tasks. Raises Conflict when a number is taken or the run is unknown."""
        self._tx.many("insert_task_states", rows)

    def update(self, rows: Sequence[Mapping[str, Param]]) -> None:
        """Move tasks on. Raises VersionConflict when one of them changed since it was read."""
        if self._tx.many("update_task_states", rows) != len(rows):
            raise VersionConflict

    def of_run(self, exec_id: str) -> list[Row]:
        """Return every task of a run in the order they began."""
        return self._tx.all("list_task_states", workflow_exec_id=exec_id)
