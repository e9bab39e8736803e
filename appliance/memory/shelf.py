"""Shelves: what stands under one key of a memory, inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.clock import MICROSECONDS
from appliance.errors import Conflict
from appliance.language.model import Json
from appliance.memory.definition import Definition
from appliance.memory.flushing import Weight
from appliance.memory.messages import Entry
from appliance.store.database import Transaction
from appliance.store.memories import MemoryKeys, MemoryMessages


class Shelf:
    """The messages under one key at the moment *now*. What has expired is as if it were not there.

    A key without messages has no row, so the last message takes the key with it.
    """

    def __init__(self, tx: Transaction, definition: Definition, key: str, now: int) -> None:
        self.definition = definition
        self.key = key
        self.now = now
        self._keys = MemoryKeys(tx)
        self._messages = MemoryMessages(tx, definition.memory.id, key)
        row = self._keys.get(definition.memory.id, key)
        self.expired = row is not None and (row["expires_at"] or now + 1) <= now
        """Whether there are messages whose time is over. They go with the next change."""
        self._row: dict[str, Any] = _EMPTY if row is None or self.expired else dict(row)

    @property
    def count(self) -> int:
        """The number of messages."""
        count: int = self._row["message_count"]
        return count

    @property
    def tokens(self) -> int:
        """The estimated tokens of all messages."""
        tokens: int = self._row["token_count"]
        return tokens

    @property
    def flushed_at(self) -> int | None:
        """When a flush removed something, in microseconds."""
        flushed_at: int | None = self._row["flushed_at"]
        return flushed_at

    def read(self, limit: int, offset: int = 0) -> list[dict[str, Json]]:
        """Return messages as `{role, content}`, oldest first."""
        if not self.count:
            return []
        rows = self._messages.part(limit=limit, offset=offset)
        return [
            {"role": row["role"], "content": msgspec.json.decode(row["content"])} for row in rows
        ]

    def weights(self) -> list[Weight]:
        """Return every message by its place, oldest first."""
        return [Weight(**row) for row in self._messages.weights(self.count)]

    def by_role(self) -> dict[str, dict[str, int]]:
        """Return number and tokens of the messages of each role."""
        rows = self._messages.by_role() if self.count else []
        return {row.pop("role"): row for row in map(dict, rows)}

    def replace(self, entries: Sequence[Entry]) -> None:
        """Put *entries* in the place of what is there. Raises Conflict when a buffer is too small."""
        if not entries:
            self.remove()
            return
        if self.count:
            self._messages.delete_through(self._row["last_position"])
            self._row = {**_EMPTY, "flushed_at": self.flushed_at}
        self.append(entries)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add *entries*, and let the oldest go where there are too many then.

        Raises: Conflict when they do not fit into a buffer, from which nothing goes by itself.
        """
        self.expire()
        if not entries:
            return
        there = self.count
        count = there + len(entries)
        tokens = self.tokens + sum(entry.tokens for entry in entries)
        old = self._weights_over(count, tokens)
        weights = [weight.tokens for weight in old] + [entry.tokens for entry in entries]
        surplus = self.definition.limits.surplus(weights, count, tokens)
        kept = entries[max(0, surplus - there) :]
        last = self._row["last_position"]
        self._put(
            message_count=count - surplus,
            token_count=tokens - sum(weights[:surplus]),
            last_position=last + len(kept),
            written_at=self.now,
            expires_at=self._expiry(),
        )
        if gone := old[:surplus]:
            self._messages.delete_through(gone[-1].position)
        self._messages.insert(
            {"position": last + 1 + place, **msgspec.structs.asdict(entry)}
            for place, entry in enumerate(kept)
        )

    def flush(self, gone: Sequence[Weight]) -> None:
        """Remove some of the messages, though not all. It is no write, so nothing lives longer."""
        self._put(
            message_count=self.count - len(gone),
            token_count=self.tokens - sum(weight.tokens for weight in gone),
            flushed_at=self.now,
        )
        self._messages.delete(weight.position for weight in gone)

    def copy(self, target: str) -> None:
        """Keep every message under the key *target* too, which is written now."""
        row = {**self._row, "key": target, "written_at": self.now, "expires_at": self._expiry()}
        self._keys.put(row)
        self._messages.copy(target)

    def expire(self) -> None:
        """Remove what has expired, if anything has."""
        if self.expired:
            self.remove()

    def remove(self) -> None:
        """Remove everything."""
        self._keys.delete(self.definition.memory.id, self.key)
        self._row, self.expired = _EMPTY, False

    def _weights_over(self, count: int, tokens: int) -> list[Weight]:
        """Return the oldest messages, at least those that must go. Raises Conflict in a buffer."""
        limits = self.definition.limits
        excess = limits.excess(count, tokens)
        if excess and not limits.trims:
            raise Conflict(
                f"The buffer {self.definition.memory.id!r} would have {count:,} messages and about"
                f" {tokens:,} tokens under the key {self.key!r}; it holds {limits.messages:,} and"
                f" {limits.tokens:,}. Flush or clear it."
            )
        rows = self._messages.weights(min(excess, self.count)) if excess and self.count else []
        return [Weight(**row) for row in rows]

    def _put(self, **changed: int | None) -> None:
        place = {"memory_ref": self.definition.memory.id, "key": self.key}
        self._row = {**self._row, **place, **changed}
        self._keys.put(self._row)

    def _expiry(self) -> int | None:
        ttl = self.definition.memory.ttl
        return None if ttl is None else self.now + int(ttl * MICROSECONDS)


_EMPTY: dict[str, Any] = {
    "message_count": 0,
    "token_count": 0,
    "last_position": 0,
    "written_at": 0,
    "flushed_at": None,
    "expires_at": None,
}
