"""Calls of memories: the executor of memory tasks, and what the API asks memories for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property

import msgspec

from appliance import clock
from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, InvalidInput
from appliance.language.model import Json, Memory
from appliance.memory.definition import Definition, Definitions
from appliance.memory.home import Home, Once, Outcome
from appliance.memory.limits import MAX_TOKENS
from appliance.memory.messages import Entry, entry_of, messages_of
from appliance.memory.operations import CHANGING, READING, Answer, Reading, rehearse_flush
from appliance.memory.order import Operation, Order, check_key, order_of
from appliance.memory.shelf import Shelf
from appliance.store import open_database
from appliance.store.database import Database, Row, Transaction, settle
from appliance.store.memories import MemoryKeys
from appliance.tools.calls import Call, Done, ToolRequest
from appliance.tools.coroutines import Coroutines

REMEMBER_S, REMEMBER_IN_PROCESS_S = 24 * 3600, 3600
"""How long the result of a request is known, at least. That of a task is, until it succeeded."""
IN_LINE_BYTES = 4096
"""Up to this size a payload is searched at once; others are in a thread, and nobody waits for it."""

Totals = dict[str, dict[str, int]] | ApplianceError
"""What the memories of a home hold by id, or why it cannot be known."""


class MemoryCalls:
    """The memories of a project over a database. Those that do not persist are in this process."""

    def __init__(
        self,
        db: Database,
        memories: Mapping[str, Memory],
        *,
        now_us: Callable[[], int] = clock.now_us,
    ) -> None:
        self._definitions = Definitions(memories)
        self._durable = Home(db, REMEMBER_S)
        self._now_us = now_us
        self._coroutines = Coroutines(self._answer)

    @cached_property
    def _volatile(self) -> Home:
        """The home of memories that do not persist: the same, in memory, made when it is needed."""
        return Home(open_database(DatabaseSettings(path=":memory:")), REMEMBER_IN_PROCESS_S)

    def close(self) -> None:
        """Forget what does not persist."""
        if "_volatile" in self.__dict__:
            self._volatile.db.close()

    def replace(self, memories: Mapping[str, Memory]) -> None:
        """Go on with other definitions. What is stored stays. Raises InvalidInput, changing nothing."""
        self._definitions = Definitions(memories)

    def submit(self, request: ToolRequest, done: Done) -> Call:
        """Begin the operation `request.tool`. See `Executor`.

        Arguments are `{memory_ref, key, payload, ...options}`. What changes something is applied
        once for each `context["task_exec_id"]`.
        """
        return self._coroutines.submit(request, done)

    async def _answer(self, request: ToolRequest) -> bytes:
        caller, _, number = str(request.context["task_exec_id"]).rpartition(".")
        order = order_of(request.arguments)
        operation = msgspec.convert(request.tool, Operation)
        outcome = await self.perform(operation, order, Once(caller, int(number)))
        return msgspec.json.encode(outcome.answer)

    async def perform(
        self, operation: Operation, order: Order, once: Once | None = None
    ) -> Outcome:
        """Do what *order* says; a change is durable when this returns, but in a memory in process.

        Raises: NotFound for an unknown memory, InvalidInput, Conflict for a full buffer or another
        request under the same *once*, and the errors of `Database`.
        """
        definition = self._definitions.get(order.memory_ref)
        check_key(order.key)
        if operation == "flush" and order.dry_run:
            return Outcome(await self._read(definition, order, rehearse_flush))
        if operation == "health":
            return Outcome(await self._health(definition, order))
        if reading := READING.get(operation):
            return Outcome(await self._read(definition, order, reading))
        return await self._change(definition, order, operation, once)

    async def keys(self, memory_ref: str, *, after: str, limit: int) -> list[Row]:
        """Return keys of a memory with their counts and times, by key, greater than *after*.

        Raises: NotFound, and the errors of `Database.read`.
        """
        definition, now = self._definitions.get(memory_ref), self._now_us()

        def work(tx: Transaction) -> list[Row]:
            return MemoryKeys(tx).page(memory_ref, after=after, now=now, limit=limit)

        return await settle(self._home(definition).db.read(work))

    async def survey(self, memory_ref: str | None = None) -> list[dict[str, Json]]:
        """Return whether each memory, or one, can be read, and how much it holds.

        Raises: NotFound.
        """
        wanted = [self._definitions.get(memory_ref)] if memory_ref else list(self._definitions)
        found: dict[Home, Totals] = {}
        for home in {self._home(definition): None for definition in wanted}:
            found[home] = await self._totals(home)
        return [_surveyed(each.memory.id, found[self._home(each)]) for each in wanted]

    def _home(self, definition: Definition) -> Home:
        return self._durable if definition.memory.persistent else self._volatile

    async def _read(self, definition: Definition, order: Order, reading: Reading) -> Answer:
        home, now = self._home(definition), self._now_us()

        def work(tx: Transaction) -> tuple[Answer, bool]:
            shelf = Shelf(tx, definition, order.key, now)
            return reading(shelf, order), shelf.expired

        answer, expired = await settle(home.db.read(work))
        if expired:
            with suppress(ApplianceError):  # a full disk must not keep anybody from reading
                await settle(
                    home.db.write(lambda tx: Shelf(tx, definition, order.key, now).expire())
                )
        return answer

    async def _health(self, definition: Definition, order: Order) -> Answer:
        try:
            return await self._read(definition, order, READING["health"])
        except ApplianceError as error:
            return {"healthy": False, "key": order.key, "error": error.message}

    async def _change(
        self, definition: Definition, order: Order, operation: str, once: Once | None
    ) -> Outcome:
        entries: list[Entry] = []
        if operation in ("write", "append"):
            small = len(msgspec.json.encode(order.payload)) <= IN_LINE_BYTES
            args = (definition, order.payload)
            entries = _entries(*args) if small else await asyncio.to_thread(_entries, *args)
        changing, now = CHANGING[operation], self._now_us()

        def change(tx: Transaction) -> Answer:
            return changing(Shelf(tx, definition, order.key, now), order, entries)

        return await self._home(definition).change(change, now, once)

    async def _totals(self, home: Home) -> Totals:
        now = self._now_us()
        try:
            rows = await settle(home.db.read(lambda tx: MemoryKeys(tx).totals(now), scan=True))
        except ApplianceError as error:
            return error
        return {row.pop("memory_ref"): row for row in map(dict, rows)}


def _entries(definition: Definition, payload: Json) -> list[Entry]:
    """Return what is stored of *payload*. Raises InvalidInput."""
    dropped = definition.memory.unpersisted_roles
    entries = [
        entry_of(message, place, definition.redaction)
        for place, message in enumerate(messages_of(payload))
        if message.role not in dropped
    ]
    tokens = sum(entry.tokens for entry in entries)
    if tokens > MAX_TOKENS:
        raise InvalidInput(
            f"The payload has about {tokens:,} tokens; write at most {MAX_TOKENS:,} at once."
        )
    return entries


def _surveyed(memory_id: str, found: Totals) -> dict[str, Json]:
    nothing = {"key_count": 0, "message_count": 0, "token_count": 0}
    if isinstance(found, ApplianceError):
        return {"memory_id": memory_id, "healthy": False, "error": found.message, **nothing}
    return {
        "memory_id": memory_id,
        "healthy": True,
        "error": None,
        **found.get(memory_id, nothing),
    }
