"""A desk: memories over a database, asked as tasks ask them, at a time that moves when told."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from appliance.language.model import Memory
from appliance.memory.calls import MemoryCalls
from appliance.store.database import Database
from appliance.tools.calls import ToolFailure, ToolOutcome, ToolRequest, ToolResult

SECOND = 1_000_000
RUN = "0192f0c1-2345-7000-8000-000000000000"


class Time:
    """A clock in microseconds."""

    def __init__(self) -> None:
        self.us = 1_700_000_000 * SECOND

    def now_us(self) -> int:
        return self.us

    def pass_by(self, seconds: float) -> None:
        self.us += int(seconds * SECOND)


class Desk:
    """Memories, and who asks them. Each operation is of a task of its own unless one is named."""

    def __init__(self, db: Database, *memories: Memory) -> None:
        self.db = db
        self.time = Time()
        self.calls = MemoryCalls(
            db, {memory.id: memory for memory in memories}, now_us=self.time.now_us
        )
        self._default = memories[0].id
        self._task = 0

    async def outcome(
        self, operation: str, *, task: str | None = None, **arguments: Any
    ) -> ToolOutcome:
        """Do an operation as the task `task` and return what the engine would get."""
        self._task += 1
        request = ToolRequest(
            operation,
            msgspec.json.encode({"memory_ref": self._default, "key": "k", **arguments}),
            {"task_exec_id": task or f"{RUN}.{self._task}", "attempt": 1},
            timeout=20.0,
        )
        done: asyncio.Future[ToolOutcome] = asyncio.get_running_loop().create_future()
        self.calls.submit(request, done.set_result)
        return await done

    async def do(self, operation: str, **arguments: Any) -> Any:
        """Return the output of an operation that succeeds."""
        outcome = await self.outcome(operation, **arguments)
        assert isinstance(outcome, ToolResult), outcome
        return msgspec.json.decode(outcome.output)

    async def fail(self, operation: str, **arguments: Any) -> ToolFailure:
        """Return the failure of an operation that fails."""
        outcome = await self.outcome(operation, **arguments)
        assert isinstance(outcome, ToolFailure), outcome
        return outcome

    async def texts(self, key: str = "k", **arguments: Any) -> list[Any]:
        """Return the content of every message under a key."""
        answer = await self.do("read", key=key, **arguments)
        return [message["content"] for message in answer["messages"]]
