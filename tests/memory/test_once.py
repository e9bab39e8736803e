"""What changes something is applied once for each task, however often it is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from appliance.language.model import Memory
from appliance.memory.home import TIDY_EVERY
from appliance.store.batch import save
from appliance.store.database import Database, Transaction
from appliance.store.memories import MemoryOperations
from appliance.store.workflow_states import Definitions
from appliance.tools.calls import ToolResult
from tests.store.test_runs import EMPTY, Columns, run, task

from .conftest import MakeDesk
from .desk import RUN, Desk

pytestmark = pytest.mark.anyio

CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("append", {"payload": "new"}),
    ("write", {"payload": "new"}),
    ("delete", {}),
    ("flush", {"force": True}),
    ("clear", {"confirm": True, "backup": True}),
]


@pytest.mark.parametrize(("operation", "arguments"), CHANGES)
async def test_a_repeated_task_changes_nothing_more(
    desk_of: MakeDesk, operation: str, arguments: dict[str, Any]
) -> None:
    """After a crash the same task comes again, and gets the result of the first time."""
    desk = desk_of(Memory(id="chat"), Memory(id="chat2"))
    await desk.do("append", payload=["1", "2", "3", "4"])
    first = await desk.do(operation, task=f"{RUN}.99", **arguments)
    await desk.do("append", payload=["5", "6", "7"])
    before = await desk.do("read")
    again = await desk.do(operation, task=f"{RUN}.99", **arguments)
    assert (first, before) == (again, await desk.do("read"))


@pytest.mark.parametrize("persistent", [True, False])
async def test_the_same_task_at_the_same_time(desk_of: MakeDesk, persistent: bool) -> None:
    """Of many that are under way together one is applied; all get its result."""
    desk = desk_of(Memory(id="chat", persistent=persistent))
    answers = await asyncio.gather(
        *(desk.do("append", task=f"{RUN}.7", payload="x") for _ in range(20))
    )
    assert 1 == len({msgspec.json.encode(answer) for answer in answers})
    assert ["x"] == await desk.texts()


async def test_other_tasks_are_other_operations(desk: Desk) -> None:
    """The number in the run counts, and so does the run."""
    for name in (f"{RUN}.1000", f"{RUN}.1001", "other.1000"):
        await desk.do("append", task=name, payload=name)
    assert 3 == len(await desk.texts())


async def test_what_failed_is_not_remembered(desk: Desk) -> None:
    """It changed nothing, so another attempt of the task may do it."""
    await desk.do("append", payload="1")
    await desk.fail("clear", task=f"{RUN}.50")
    assert 1 == (await desk.do("clear", task=f"{RUN}.50", confirm=True))["messages_cleared"]


async def test_a_call_that_was_killed_is_applied_once(desk: Desk) -> None:
    """The engine stops waiting; the write may go on, and the next attempt finds it."""
    from appliance.tools.calls import ToolOutcome, ToolRequest

    arguments = msgspec.json.encode({"memory_ref": "chat", "key": "k", "payload": "x"})
    request = ToolRequest("append", arguments, {"task_exec_id": f"{RUN}.3", "attempt": 1}, 5.0)
    outcomes: list[ToolOutcome] = []
    for pause in (0.0, 0.001, 0.01):
        call = desk.calls.submit(request, outcomes.append)
        await asyncio.sleep(pause)
        call.kill()
    assert 1 == (await desk.do("append", task=f"{RUN}.3", payload="x"))["total_count"]
    assert ["x"] == await desk.texts()
    assert all(isinstance(outcome, ToolResult) for outcome in outcomes)


async def test_what_is_done_with_is_forgotten(desk_of: MakeDesk, db: Database) -> None:
    """A task that succeeded is never asked again, one that did not may be, however late."""
    done, open_ = run(), run()
    callers = [str(done["workflow_exec_id"]), str(open_["workflow_exec_id"])]

    def prepare(tx: Transaction) -> None:
        row: Columns = {"hash": "hash", "workflow_id": "flow", "source": "{}", "created_at": 1}
        Definitions(tx).keep([row])
        tasks = [task(callers[0], 1, status="SUCCESS"), task(callers[1], 1)]
        save(tx, EMPTY._replace(new_runs=[done, open_], new_tasks=tasks))

    db.write(prepare).result()
    desk = desk_of(Memory(id="chat", max_messages=2))
    await desk.do("append", key="first", payload="the first change tidies, too")
    for caller in callers:
        await desk.do("append", task=f"{caller}.1", payload=caller)
    desk.time.pass_by(25 * 3600)

    def known(caller: str, number: int) -> bool:
        return db.read(lambda tx: MemoryOperations(tx).get(caller, number)).result() is not None

    assert [True, True] == [known(caller, 1) for caller in callers]
    for _ in range(TIDY_EVERY):
        await desk.do("append", payload="more")
    assert [False, True] == [known(caller, 1) for caller in callers]
    assert (False, True) == (known(RUN, 1), known(RUN, TIDY_EVERY))  # their task is not stored
    assert 1 == (await desk.do("append", task=f"{callers[1]}.1", payload="x"))["appended"]
    assert "x" not in await desk.texts()
