"""The audit log: who did what, when. Entries are only ever added."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.store.database import Param, Row, Transaction


class Audit:
    """Entries by time. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, row: Mapping[str, Param]) -> None:
        """Add an entry."""
        self._tx.run("insert_audit_entry", **row)

    def page(self, *, action: str, actor: str, before: str, limit: int) -> list[Row]:
        """Return entries, newest first, with ids less than *before*; an empty filter is any."""
        return self._tx.all(
            "list_audit_entries", action=action, actor=actor, before=before, row_limit=limit
        )
