"""Signals that runs received. A signal is known by its run and its number in it (from 1)."""

from __future__ import annotations

from appliance.store.database import Row, Transaction


class Signals:
    """Signals of runs. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def of_run(self, exec_id: str) -> list[Row]:
        """Return every signal of a run in the order they came."""
        return self._tx.all("list_signals", workflow_exec_id=exec_id)
