"""Definitions that came through the API, as they were written."""

from __future__ import annotations

from appliance.errors import VersionConflict
from appliance.store.database import Param, Row, Transaction


class Resources:
    """Texts by kind and id. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def all(self) -> list[Row]:
        """Return every definition, by kind and id."""
        return self._tx.all("list_resources")

    def insert(self, kind: str, name: str, text: str, *, at_us: int, actor: str) -> None:
        """Add a definition. Raises Conflict when it is there already."""
        self._tx.run("insert_resource", kind=kind, id=name, text=text, at=at_us, actor=actor)

    def update(
        self, kind: str, name: str, text: str, *, version: int, at_us: int, actor: str
    ) -> None:
        """Replace the definition that has *version*. Raises VersionConflict."""
        row: dict[str, Param] = {"kind": kind, "id": name, "text": text, "version": version}
        if self._tx.run("update_resource", **row, at=at_us, actor=actor) == 0:
            raise VersionConflict

    def delete(self, kind: str, name: str, *, version: int) -> None:
        """Remove the definition that has *version*. Raises VersionConflict."""
        if self._tx.run("delete_resource", kind=kind, id=name, version=version) == 0:
            raise VersionConflict
