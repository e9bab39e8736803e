"""Commands: what nodes ask each other to do with runs, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.store.database import Param, Row, Transaction


class Commands:
    """Commands by id. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, row: Mapping[str, Param]) -> None:
        """Ask a node for something. Raises Conflict when there is no such node."""
        self._tx.run("insert_command", **row)

    def of_node(self, node_id: str) -> list[Row]:
        """Return what a node is asked and has not answered."""
        return self._tx.all("list_commands", node_id=node_id)

    def answer(self, command_id: str, answer: str) -> None:
        """Keep the answer to a command until who asked has taken it."""
        self._tx.run("answer_command", id=command_id, answer=answer)

    def get(self, command_id: str) -> Row | None:
        """Return the answer to a command as a row, None when the node is gone that was asked."""
        return self._tx.one("get_command", id=command_id)

    def delete(self, command_id: str) -> None:
        """Forget a command."""
        self._tx.run("delete_command", id=command_id)
