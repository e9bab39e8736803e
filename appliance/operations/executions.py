"""Runs of workflows: start them, wait for them, list them, read them, stop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

from appliance import clock
from appliance.engine.program import Program
from appliance.engine.run import decode
from appliance.engine.status import TERMINAL, Status
from appliance.errors import Conflict, InvalidInput, NotFound
from appliance.language.model import Json
from appliance.operations.actors import Actor
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.store.database import Row, Transaction, settle
from appliance.store.task_states import TaskStates
from appliance.store.workflow_states import LAST_ID, WorkflowStates

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

STATUSES: tuple[str, ...] = get_args(Status)


class Started(NamedTuple):
    """A run that was begun, or that an earlier request with the same idempotency key began."""

    exec_id: str
    workflow_id: str
    replayed: bool


async def start_execution(
    appliance: Appliance,
    actor: Actor,
    workflow_id: str,
    *,
    run_input: Json,
    idempotency_key: str | None = None,
) -> Started:
    """Begin a run; it is durable when this returns.

    The same idempotency key (per user) with the same request returns the run of the first one.

    Raises: NotFound, InvalidInput naming the field, Conflict when the key was used for another
    request, and the errors of `Database.write`.
    """
    program = appliance.engine.program(workflow_id)
    accepted = program.accept({} if run_input is None else run_input)
    key = f"{actor.user_id}:{idempotency_key}" if idempotency_key else None
    if key is not None and (earlier := await _replay(appliance, program, accepted, key)):
        return earlier
    try:
        exec_id = await appliance.engine.start(
            program, accepted, started_by=actor.user_id, idempotency_key=key
        )
    except Conflict:
        if key is not None and (earlier := await _replay(appliance, program, accepted, key)):
            return earlier
        raise
    return Started(exec_id, workflow_id, replayed=False)


async def _replay(
    appliance: Appliance, program: Program, accepted: Json, key: str
) -> Started | None:
    row = await settle(appliance.db.read(lambda tx: WorkflowStates(tx).with_idempotency_key(key)))
    if row is None:
        return None
    if (row["workflow_id"], decode(row["input"])) != (program.id, accepted):
        msg = "this Idempotency-Key was used for another request; use a new key for a new run"
        raise Conflict(msg)
    return Started(row["workflow_exec_id"], row["workflow_id"], replayed=True)


async def run_execution(
    appliance: Appliance,
    actor: Actor,
    workflow_id: str,
    *,
    run_input: Json,
    timeout_s: float,
    idempotency_key: str | None = None,
) -> tuple[dict[str, Json], bool]:
    """Begin a run and wait for its end. Return its state, and whether it ended within *timeout_s*.

    Raises: what `start_execution` raises.
    """
    started = await start_execution(
        appliance, actor, workflow_id, run_input=run_input, idempotency_key=idempotency_key
    )
    await appliance.engine.wait(started.exec_id, timeout_s)
    state = await get_execution(appliance, started.exec_id)
    return state, state["status"] in TERMINAL


async def list_executions(
    appliance: Appliance,
    *,
    workflow_id: str | None = None,
    status: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return runs without payload, newest first.

    Raises: InvalidInput for an unknown status or a cursor that this server did not make.
    """
    if status is not None and status not in STATUSES:
        msg = f"there is no status {status!r}; it is one of {', '.join(STATUSES)}"
        raise InvalidInput(msg)
    before = decode_cursor(cursor) if cursor else LAST_ID

    def work(tx: Transaction) -> list[Row]:
        return WorkflowStates(tx).page(
            workflow_id=workflow_id, status=status or "", before=before, limit=limit + 1
        )

    # Runs with a rare status may be far apart, so a filtered listing can take long.
    rows = await settle(appliance.db.read(work, scan=status is not None))
    return page_of([_summary(row) for row in rows], limit, "workflow_exec_id")


async def get_execution(appliance: Appliance, exec_id: str) -> dict[str, Json]:
    """Return a run with the tree of its tasks. Raises NotFound."""

    def work(tx: Transaction) -> tuple[Row | None, list[Row]]:
        row = WorkflowStates(tx).get(exec_id)
        return row, TaskStates(tx).of_run(exec_id) if row is not None else []

    row, tasks = await settle(appliance.db.read(work))
    if row is None:
        msg = f"there is no run {exec_id!r}"
        raise NotFound(msg)
    return {
        **_summary(row),
        "usage": None,
        "input": decode(row["input"]),
        "output": decode(row["output"]),
        "tasks": task_tree(exec_id, tasks),
    }


async def cancel_execution(appliance: Appliance, exec_id: str) -> dict[str, Json]:
    """Stop a run and the tools it is running; return its state. Raises NotFound, Conflict."""
    await appliance.engine.cancel(exec_id)
    return await get_execution(appliance, exec_id)


def task_tree(exec_id: str, rows: list[Row]) -> dict[str, Json]:
    """Return the top-level tasks by id, each with its `children` by id.

    *rows* are in the order the tasks began, so a parent comes before its children.
    """
    tree: dict[str, Json] = {}
    by_seq: dict[int, dict[str, Json]] = {}
    for row in rows:
        task = by_seq[row["seq"]] = _task(exec_id, row)
        parent = by_seq.get(row["parent_seq"])
        (tree if parent is None else parent["children"])[row["task_id"]] = task
    return tree


def _summary(row: Row) -> dict[str, Json]:
    return {
        "workflow_exec_id": row["workflow_exec_id"],
        "workflow_id": row["workflow_id"],
        "status": row["status"],
        "error": decode(row["error"]),
        "started_by": row["started_by"],
        "created_at": clock.to_rfc3339(row["created_at"]),
        "updated_at": clock.to_rfc3339(row["updated_at"]),
    }


def _task(exec_id: str, row: Row) -> dict[str, Json]:
    return {
        "task_id": row["task_id"],
        "task_exec_id": f"{exec_id}.{row['seq']}",
        "type": row["execution_type"],
        "status": row["status"],
        "attempt": row["attempt"],
        "input": decode(row["input"]),
        "output": decode(row["output"]),
        "error": decode(row["error"]),
        "created_at": clock.to_rfc3339(row["created_at"]),
        "updated_at": clock.to_rfc3339(row["updated_at"]),
        "children": {},
    }
