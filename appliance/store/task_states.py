"""Tasks of runs. A task is known by its run and its number in it (`seq`, from 1)."""

from __future__ import annotations

from appliance.store.database import Row, Transaction


class TaskStates:
    """Task states. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def of_run(self, exec_id: str) -> list[Row]:
        """Return every task of a run in the order they began."""
        return self._tx.all("list_task_states", workflow_exec_id=exec_id)
