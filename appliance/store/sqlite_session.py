"""The connection of SQLite that writes: transactions, checkpoints, and a look at its files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress

from appliance.config import DatabaseSettings
from appliance.failpoint import failpoint
from appliance.store import faults
from appliance.store.files import Files
from appliance.store.transaction import OpenTransaction

MEMORY = ":memory:"
PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24

CHECKPOINT_AFTER_ROWS = 1000
"""A row takes a page at least. More at once would stall a slow card for seconds."""

RESTART_AT_BYTES = 64 << 20
RESTART_PATIENCE_MS = 50
IDLE_S = 1.0

Begin = Callable[[sqlite3.Connection], OpenTransaction]


class SqliteSession:
    """The connection that writes, for the writer's thread. See `Session`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        settings: DatabaseSettings,
        begin: Begin,
    ) -> None:
        self._connection = connection
        self._path = path = settings.path
        self._busy_timeout_ms = int(settings.busy_timeout * 1000)
        self._transaction = begin
        self._files = Files(path) if path != MEMORY else None
        self._dirty = False
        self._rows = 0

    def begin(self) -> None:
        """Begin a transaction that nobody else can write beside."""
        self._execute("BEGIN IMMEDIATE")

    def transaction(self) -> OpenTransaction:
        """Return the transaction for one piece of work."""
        return self._transaction(self._connection)

    def save(self) -> None:
        """Set the savepoint."""
        self._execute("SAVEPOINT piece")

    def release(self) -> None:
        """Forget the savepoint."""
        self._execute("RELEASE piece")

    def restore(self) -> None:
        """Undo what happened since the savepoint; some errors have undone the transaction too."""
        self._execute("ROLLBACK TO piece")
        self._execute("RELEASE piece")

    def commit(self) -> None:
        """Commit; the WAL is synced when this returns, and it is still the one with a name."""
        self._execute("COMMIT")
        self._dirty = True
        self._look()

    def rollback(self) -> None:
        """Undo everything."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def rest(self, *, idle: bool) -> float | None:
        """Move the WAL into the file when there is enough of it, or nothing else to do."""
        rows = self._connection.total_changes - self._rows
        if self._dirty and (idle or rows >= CHECKPOINT_AFTER_ROWS):
            self._rows += rows
            self._checkpoint()
        return IDLE_S if self._dirty else None

    def close(self) -> None:
        """Close, which moves the rest of the WAL into the file."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _look(self) -> None:
        if self._files is not None:
            self._files.look(self._connection)

    def _checkpoint(self) -> None:
        self._look()  # never write into what somebody else has put there
        try:
            self._move()
        finally:
            if self._files is not None:
                self._files.written()

    def _move(self) -> None:
        failpoint("checkpoint.begun")
        _, frames, moved = self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        failpoint("checkpoint.done")
        self._dirty = moved < frames
        if frames * FRAME_BYTES > RESTART_AT_BYTES:
            # readers that follow each other closely never let the WAL begin anew: wait for them
            self._execute(f"PRAGMA busy_timeout={RESTART_PATIENCE_MS}")
            self._execute("PRAGMA wal_checkpoint(RESTART)")
            self._execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")

    def _execute(self, statement: str) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement)
        except sqlite3.Error as error:
            raise faults.of_sqlite(error, self._path) from error
