"""Memories: messages in order under the keys of a memory, and the operations that were applied.

A key is there as long as it has messages. Everybody who changes something under a key puts the key
again, so that its counts are those of its messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.store.database import Param, Row, Transaction


class MemoryKeys:
    """Keys of all memories. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, memory_ref: str, key: str) -> Row | None:
        """Return what there is under a key, also when it has expired, or None."""
        return self._tx.one("get_memory_key", memory_ref=memory_ref, key=key)

    def put(self, row: Mapping[str, Param]) -> None:
        """Keep what there is under a key now."""
        self._tx.run("put_memory_key", **row)

    def delete(self, memory_ref: str, key: str) -> None:
        """Remove a key with its messages."""
        self._tx.run("delete_memory_key", memory_ref=memory_ref, key=key)

    def delete_expired(self, now: int, limit: int) -> int:
        """Remove at most *limit* keys whose time is over; return how many."""
        return self._tx.run("delete_expired_memory_keys", now=now, row_limit=limit)

    def page(self, memory_ref: str, *, after: str, now: int, limit: int) -> list[Row]:
        """Return the keys of a memory that have not expired, by key, greater than *after*."""
        return self._tx.all(
            "list_memory_keys", memory_ref=memory_ref, after=after, now=now, row_limit=limit
        )

    def totals(self, now: int) -> list[Row]:
        """Return how many keys, messages and tokens each memory has."""
        return self._tx.all("count_memories", now=now)


class MemoryMessages:
    """Messages under one key. Every method is one query in the caller's transaction."""

    def __init__(self, tx: Transaction, memory_ref: str, key: str) -> None:
        self._tx = tx
        self._place: dict[str, Param] = {"memory_ref": memory_ref, "key": key}

    def insert(self, rows: Iterable[Mapping[str, Param]]) -> None:
        """Add messages. Raises Conflict when the key is not there or a position is taken."""
        self._tx.many("insert_memory_messages", [{**self._place, **row} for row in rows])

    def part(self, *, limit: int, offset: int) -> list[Row]:
        """Return role and content of at most *limit* messages, oldest first, from *offset* on."""
        return self._tx.all(
            "list_memory_messages", row_limit=limit, row_offset=offset, **self._place
        )

    def weights(self, limit: int) -> list[Row]:
        """Return position and tokens of the *limit* oldest messages, oldest first."""
        return self._tx.all("list_memory_weights", row_limit=limit, **self._place)

    def by_role(self) -> list[Row]:
        """Return role, number of messages and tokens, for each role."""
        return self._tx.all("count_memory_roles", **self._place)

    def copy(self, target: str) -> None:
        """Add every message under the key *target* too, which must be there and empty."""
        self._tx.run("copy_memory_messages", target=target, **self._place)

    def delete(self, positions: Iterable[int]) -> None:
        """Remove the messages at *positions*."""
        rows = [{**self._place, "position": position} for position in positions]
        self._tx.many("delete_memory_message", rows)

    def delete_through(self, position: int) -> None:
        """Remove the messages up to *position*, which are the oldest."""
        self._tx.run("delete_memory_messages_through", position=position, **self._place)


class MemoryOperations:
    """Operations by who asked for them: a run and the number of its task, or a request and 0."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, caller: str, number: int) -> Row | None:
        """Return `request` and `result` of an operation that was applied, or None."""
        return self._tx.one("get_memory_operation", caller=caller, number=number)

    def insert(self, row: Mapping[str, Param]) -> None:
        """Note an operation. Raises Conflict when it was applied before."""
        self._tx.run("insert_memory_operation", **row)

    def forget(self, before: int) -> int:
        """Forget those of tasks that succeeded, and those of no task that are older than *before*."""
        return self._tx.run("forget_memory_operations", before=before)
