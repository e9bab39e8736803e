"""Memories: what people and programs ask of them over the API."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from appliance import clock
from appliance.language.model import Json
from appliance.memory.home import Once, Outcome
from appliance.memory.order import Operation, Order
from appliance.operations.actors import Actor
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.store.database import Row

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance


class Survey(NamedTuple):
    """Whether memories can be read, and what each holds. `at` is RFC 3339."""

    at: str
    memories: list[dict[str, Json]]

    @property
    def healthy(self) -> bool:
        """Whether all can be read."""
        return all(memory["healthy"] for memory in self.memories)


async def ask_memory(
    appliance: Appliance,
    actor: Actor,
    operation: Operation,
    order: Order,
    *,
    idempotency_key: str | None = None,
) -> Outcome:
    """Do what *order* says. A change is durable when this returns, unless it is of this process.

    The same idempotency key (per user) with the same request changes something once.

    Raises: NotFound, InvalidInput, Conflict when a buffer is full or the key was used for another
    request, and the errors of `Database`.
    """
    once = None
    if idempotency_key:
        digest = hashlib.sha256(operation.encode() + msgspec.json.encode(order)).hexdigest()
        once = Once(f"key:{actor.user_id}:{idempotency_key}", 0, digest)
    return await appliance.memories.perform(operation, order, once)


async def list_memory_keys(
    appliance: Appliance, memory_ref: str, *, limit: int = 50, cursor: str | None = None
) -> Page:
    """Return the keys of a memory with counts and times, by key.

    Raises: NotFound, InvalidInput for a cursor that this server did not make.
    """
    after = decode_cursor(cursor) if cursor else ""
    rows = await appliance.memories.keys(memory_ref, after=after, limit=limit + 1)
    return page_of([_entry(row) for row in rows], limit, "key")


async def survey_memories(appliance: Appliance, memory_ref: str | None = None) -> Survey:
    """Look at every memory of the project, or at one. Raises: NotFound."""
    found = await appliance.memories.survey(memory_ref)
    return Survey(clock.to_rfc3339(clock.now_us()) or "", found)


def _entry(row: Row) -> dict[str, Json]:
    return {
        **row,
        "written_at": clock.to_rfc3339(row["written_at"]),
        "flushed_at": clock.to_rfc3339(row["flushed_at"]),
        "expires_at": clock.to_rfc3339(row["expires_at"]),
    }
