"""Signals that runs received. A signal is known by its run and its number in it (from 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.store.bulk import as_json
from appliance.store.database import Param, Row, Transaction


class Signals:
    """Signals of runs. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, rows: Sequence[Mapping[str, Param]]) -> None:
        """Keep signals. Raises Conflict when a number is taken or the run is unknown."""
        self._tx.run("insert_signals", rows=as_json(rows))

    def update(self, rows: Sequence[Mapping[str, Param]]) -> None:
        """Note which task took each."""
        self._tx.run("update_signals", rows=as_json(rows))

    def of_run(self, exec_id: str) -> list[Row]:
        """Return every signal of a run in the order they came."""
        return self._tx.all("list_signals", workflow_exec_id=exec_id)
