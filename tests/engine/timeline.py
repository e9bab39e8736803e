"""A world for schedules: a clock that is moved by hand, a real engine, tools that wait to be let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any

import msgspec
import pytest

from appliance import clock, ids
from appliance.cluster.alone import Alone
from appliance.engine.runner import Engine
from appliance.engine.scheduler import Scheduler
from appliance.errors import Unavailable
from appliance.language.model import Project, Schedule, Task, Tool, Workflow
from appliance.store.database import Database, Row, Transaction, refused, settle
from appliance.store.schedules import NEWEST, Schedules
from appliance.store.workflow_states import LAST_ID, WorkflowStates
from appliance.tools.calls import ToolRequest, ToolResult

NOON = "2026-06-01T12:00:00+00:00"
SECOND = 1_000_000


def us(text: str) -> int:
    """Return a time as microseconds."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


class Bench:
    """An executor whose calls end when somebody lets them."""

    def __init__(self) -> None:
        self.waiting: dict[str, Callable[[Any], None]] = {}
        self.patient = True

    def submit(self, request: ToolRequest, done: Callable[[Any], None], /) -> Place:
        exec_id = request.context["workflow_exec_id"]
        if self.patient:
            self.waiting[exec_id] = done
        else:
            asyncio.get_running_loop().call_soon(done, ToolResult(b"null"))
        return Place(self, exec_id)

    def let_go(self) -> None:
        """Let every call end well."""
        while self.waiting:
            self.waiting.popitem()[1](ToolResult(b"null"))


class Place:
    """A call at the bench."""

    def __init__(self, bench: Bench, exec_id: str) -> None:
        self._bench = bench
        self._exec_id = exec_id

    def kill(self) -> None:
        self._bench.waiting.pop(self._exec_id, None)


class Watched:
    """A database that counts writes, and fails them from a given one on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writes = 0
        self.fails_from = NEWEST
        self.error = Unavailable("the power is gone")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def write(self, work: Any) -> Future[Any]:
        self.writes += 1
        if self.writes > self.fails_from:
            return refused(self.error)
        return self._database.write(work)


def scheduled(name: str = "job", /, **fields: Any) -> Workflow:
    """Return a workflow of one task with a schedule, each hour unless it says otherwise."""
    schema = {"type": "object", "properties": {"region": {"type": "string"}}}
    return Workflow(
        id=name,
        input=schema,
        tasks=(Task(id="only", tool="work"),),
        tools={"work": Tool(id="work")},
        schedule=Schedule(**{"cron": "@hourly", "overlap_policy": "allow", **fields}),
    )


class Timeline:
    """A server's engine and scheduler on a clock that stands until it is moved."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = Watched(database)
        self.now_us = us(NOON)
        self.bench = Bench()
        monkeypatch.setattr(clock, "now_us", lambda: self.now_us)
        monkeypatch.setattr(ids, "_last", 0)  # ids of a far future end with this test

    async def open(self, *workflows: Workflow, resume: bool = True) -> None:
        """Start a server with these workflows."""
        self.project = Project(
            name="p", directory="/", workflows={workflow.id: workflow for workflow in workflows}
        )
        node = Alone(self.database)
        self.engine = Engine(
            self.database._database, self.project, self.bench, self.bench, node=node
        )
        await self.engine.open(resume=resume)
        self.scheduler = Scheduler(self.database, self.engine, "p")
        await self.scheduler.open(resume=resume)
        if resume:
            await self.scheduler.serve()

    async def close(self) -> None:
        """Stop the server, at once."""
        await self.scheduler.close()
        await self.engine.close()

    async def restart(self, *workflows: Workflow) -> None:
        """Stop the server and start another."""
        await self.close()
        await self.open(*(workflows or self.project.workflows.values()))

    async def at(self, moment: str | int) -> None:
        """Let it be a moment, given whole or as the time of that day."""
        if isinstance(moment, str):
            moment = us(f"2026-06-01T{moment}+00:00" if len(moment) == 8 else moment)
        self.now_us = moment
        await self.scheduler.serve()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what other tasks of the loop are about to do."""
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    async def runs(self, workflow: str = "job") -> list[tuple[str, str]]:
        """Return the runs of a workflow, oldest first: the tick they are of, and their status."""

        def work(tx: Transaction) -> list[tuple[str, str]]:
            states = WorkflowStates(tx)
            page = states.page(
                workflow_id=workflow, statuses=(), since="", before=LAST_ID, limit=500
            )
            rows = [states.get(row["workflow_exec_id"]) for row in page]
            return [(row["idempotency_key"], row["status"]) for row in rows if row is not None]

        found = await settle(self.database.read(work))
        return sorted((time_of(int(key.split(":")[2])), status) for key, status in found)

    async def ledger(self, workflow: str = "job") -> list[tuple[str, str]]:
        """Return the ledger, oldest entry first: tick and outcome."""
        rows = await self.entries(workflow)
        return [(time_of(row["tick"]), row["outcome"]) for row in rows]

    async def entries(self, workflow: str = "job") -> list[Row]:
        """Return the rows of the ledger, oldest first."""
        rows: list[Row] = await settle(
            self.database.read(lambda tx: Schedules(tx).ticks(workflow, before=NEWEST, limit=1000))
        )
        return rows[::-1]

    async def origin(self, exec_id: str) -> Any:
        """Return what a run says that it comes from."""
        row = await settle(self.database.read(lambda tx: WorkflowStates(tx).get(exec_id)))
        assert row is not None
        return msgspec.json.decode(row["origin"])


def time_of(tick: int) -> str:
    """Return a tick as the time of the day, and as the whole time on other days."""
    text = str(clock.to_rfc3339(tick))[:19]
    return text[11:] if text.startswith("2026-06-01") else text
