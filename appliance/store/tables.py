"""Whole tables, row by row: what leaves one database and comes into another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from appliance.store.database import Param, Row, Transaction

_QUERIES = {
    "users": ("all_users", "put_users"),
    "api_keys": ("all_api_keys", "put_api_keys"),
    "sessions": ("all_sessions", "put_sessions"),
    "audit_log": ("all_audit_log", "put_audit_log"),
    "definitions": ("all_definitions", "put_definitions"),
    "workflow_states": ("all_workflow_states", "put_workflow_states"),
    "task_states": ("all_task_states", "put_task_states"),
    "signals": ("all_signals", "put_signals"),
    "memory_keys": ("all_memory_keys", "put_memory_keys"),
    "memory_messages": ("all_memory_messages", "put_memory_messages"),
    "memory_operations": ("all_memory_operations", "put_memory_operations"),
    "schedules": ("all_schedules", "put_schedules"),
    "schedule_ticks": ("all_schedule_ticks", "put_schedule_ticks"),
    "resources": ("all_resources", "put_resources"),
}
TABLES = tuple(_QUERIES)
"""Every table with what a user would miss, in an order in which rows refer to earlier ones."""


class Tables:
    """The tables of a database. A row is a mapping of its columns."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def rows(self, table: str) -> Iterator[Row]:
        """Yield every row of a table by its key; few are in memory at a time."""
        return self._tx.each(_QUERIES[table][0])

    def put(self, table: str, rows: Sequence[Mapping[str, Param]]) -> int:
        """Add those rows that are not there yet; return how many that were.

        Raises: Conflict when a row refers to one that is not there.
        """
        return self._tx.many(_QUERIES[table][1], rows)

    def filled(self) -> list[str]:
        """Return the tables that are not empty."""
        return [table for table in TABLES if next(self.rows(table), None) is not None]
