"""Runs: start them, wait for them, list them, read them. A task run by itself is a run of one task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from appliance import clock, ids
from appliance.engine import history
from appliance.engine.context import progress_of
from appliance.engine.program import GROUPS, Program
from appliance.engine.recovery import stored_run
from appliance.engine.run import StoredRun, decode
from appliance.engine.status import TERMINAL, Status
from appliance.errors import Conflict, InvalidInput, NotFound
from appliance.language.model import Json
from appliance.operations.actors import Actor
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.store.database import Row, Transaction, settle
from appliance.store.workflow_states import LAST_ID, WorkflowStates

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

STATUSES: tuple[str, ...] = get_args(Status)

API: dict[str, Json] = {"type": "api"}
"""The origin of a run that somebody asked for."""

DIRECT: dict[str, Json] = {"type": "api", "resource": "task"}
"""The origin of a task that is run by itself."""


class Started(NamedTuple):
    """A run that was begun, or that an earlier request with the same idempotency key began.

    `workflow_id` is the id of the task where a task is run by itself.
    """

    exec_id: str
    workflow_id: str
    replayed: bool


async def start_execution(
    appliance: Appliance,
    actor: Actor,
    workflow_id: str,
    *,
    run_input: Json,
    task_id: str | None = None,
    idempotency_key: str | None = None,
) -> Started:
    """Begin a run, with its first task or with *task_id*; it is durable when this returns.

    The same idempotency key (per user) with the same request returns the run of the first one.

    Raises: NotFound, InvalidInput naming the field, Conflict when the key was used for another
    request, and the errors of `Database.write`.
    """
    program = appliance.engine.program(workflow_id)
    origin = API if task_id is None else {**API, "task_id": task_id}
    return await begin(
        appliance,
        actor,
        program,
        run_input=run_input,
        origin=origin,
        idempotency_key=idempotency_key,
    )


async def start_task(
    appliance: Appliance,
    actor: Actor,
    task_id: str,
    *,
    run_input: Json,
    idempotency_key: str | None = None,
) -> Started:
    """Begin a task of the project by itself. Raises what `start_execution` raises."""
    program = appliance.engine.task_program(task_id)
    return await begin(
        appliance,
        actor,
        program,
        run_input=run_input,
        origin=DIRECT,
        idempotency_key=idempotency_key,
    )


async def begin(
    appliance: Appliance,
    actor: Actor,
    program: Program,
    *,
    run_input: Json,
    origin: dict[str, Json],
    idempotency_key: str | None,
) -> Started:
    """Begin a run of *program* on behalf of *actor*. Raises what `start_execution` raises."""
    accepted = program.accept({} if run_input is None else run_input)
    key = f"{actor.user_id}:{idempotency_key}" if idempotency_key else None
    if key is not None and (earlier := await _replay(appliance, program, accepted, origin, key)):
        return earlier
    try:
        exec_id = await appliance.engine.start(
            program,
            accepted,
            task_id=_text(origin.get("task_id")),
            started_by=actor.user_id,
            idempotency_key=key,
            origin=origin,
        )
    except Conflict:
        if key is not None and (
            earlier := await _replay(appliance, program, accepted, origin, key)
        ):
            return earlier
        raise
    return Started(exec_id, program.id, replayed=False)


async def _replay(
    appliance: Appliance, program: Program, accepted: Json, origin: dict[str, Json], key: str
) -> Started | None:
    row = await settle(appliance.db.read(lambda tx: WorkflowStates(tx).with_idempotency_key(key)))
    if row is None:
        return None
    earlier = (row["workflow_id"], decode(row["input"]), decode(row["origin"]) or API)
    if earlier != (program.id, accepted, origin):
        msg = "this Idempotency-Key was used for another request; use a new key for a new run"
        raise Conflict(msg)
    return Started(row["workflow_exec_id"], row["workflow_id"], replayed=True)


async def wait_for(
    appliance: Appliance, exec_id: str, timeout_s: float
) -> tuple[dict[str, Any], bool]:
    """Return the state of a run once it has ended or after *timeout_s*, and whether it ended.

    Raises: NotFound.
    """
    rows = await appliance.engine.end_of(exec_id, timeout_s)
    state = _state(rows or await read_rows(appliance, exec_id))
    return state, state["status"] in TERMINAL


async def list_executions(
    appliance: Appliance,
    *,
    workflow_id: str | None = None,
    status: str = "",
    since: str = "",
    until: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return runs without payload, newest first.

    *status* is one or several with commas; *since* and *until* (not included) are RFC 3339, to the
    millisecond; empty is any.

    Raises: InvalidInput for an unknown status, what is no time, or a cursor that this server did
    not make.
    """
    statuses = _statuses(status)
    first = ids.bound(_time("since", since)) if since else ""
    before = decode_cursor(cursor) if cursor else LAST_ID
    if until:
        before = min(before, ids.bound(_time("until", until)))

    def work(tx: Transaction) -> list[Row]:
        return WorkflowStates(tx).page(
            workflow_id=workflow_id,
            statuses=statuses,
            since=first,
            before=before,
            limit=limit + 1,
        )

    # Runs with a rare status may be far apart, so a filtered listing can take long.
    rows = await settle(appliance.db.read(work, scan=bool(statuses)))
    return page_of([_summary(row) for row in rows], limit, "workflow_exec_id")


def _statuses(text: str) -> list[str]:
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in STATUSES:
            msg = f"there is no status {name!r}; it is one of {', '.join(STATUSES)}"
            raise InvalidInput(msg)
    return wanted


def _time(name: str, text: str) -> int:
    try:
        return clock.from_rfc3339(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}.") from None


async def get_execution(appliance: Appliance, exec_id: str) -> dict[str, Any]:
    """Return a run with the tree of its tasks. Raises NotFound."""
    return _state(await read_rows(appliance, exec_id))


def _state(rows: StoredRun) -> dict[str, Any]:
    row, tasks = rows
    return {
        **_summary(row),
        "usage": None,
        "input": decode(row["input"]),
        "output": decode(row["output"]),
        "history": history.shown(row["history"]),
        "tasks": task_tree(row["workflow_exec_id"], tasks),
    }


async def get_task_execution(appliance: Appliance, exec_id: str) -> dict[str, Any]:
    """Return a task that was run by itself. Raises NotFound, also for a run of a workflow."""
    return task_of(await get_execution(appliance, exec_id))


def task_of(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a run as that of the one task it was made for. Raises NotFound."""
    exec_id = state["workflow_exec_id"]
    if (state["origin"] or {}).get("resource") != "task":
        msg = f"{exec_id!r} is no run of a single task; look at /executions/workflows/{exec_id}"
        raise NotFound(msg)
    task = next(iter(state["tasks"].values()), {"input": None, "output": None})
    return {
        **state,
        "exec_id": exec_id,
        "task_id": state["workflow_id"],
        "input": task["input"],
        "output": task["output"],
    }


async def read_rows(appliance: Appliance, exec_id: str) -> StoredRun:
    """Return what is stored of a run. Raises NotFound."""
    stored = await settle(appliance.db.read(partial(stored_run, exec_id=exec_id)))
    if stored is None:
        msg = f"there is no run {exec_id!r}"
        raise NotFound(msg)
    return stored


def task_tree(exec_id: str, rows: list[Row]) -> dict[str, Any]:
    """Return the top-level tasks by id, each with its `children` by id.

    *rows* are in the order the tasks began, so a parent comes before its children.
    """
    tree: dict[str, Any] = {}
    by_seq: dict[int, dict[str, Any]] = {}
    statuses: dict[int, list[Status]] = {}
    for row in rows:
        task = by_seq[row["seq"]] = _task(exec_id, row)
        parent = by_seq.get(row["parent_seq"])
        (tree if parent is None else parent["children"])[row["task_id"]] = task
        statuses.setdefault(row["parent_seq"], []).append(row["status"])
    for seq, task in by_seq.items():
        if task["type"] in GROUPS:
            task["progress_info"] = progress_of(statuses.get(seq, []))
    return tree


def _summary(row: Row) -> dict[str, Any]:
    return {
        "workflow_exec_id": row["workflow_exec_id"],
        "workflow_id": row["workflow_id"],
        "status": row["status"],
        "error": decode(row["error"]),
        "origin": decode(row["origin"]),
        "started_by": row["started_by"],
        "created_at": clock.to_rfc3339(row["created_at"]),
        "updated_at": clock.to_rfc3339(row["updated_at"]),
    }


def _task(exec_id: str, row: Row) -> dict[str, Any]:
    return {
        "task_id": row["task_id"],
        "task_exec_id": f"{exec_id}.{row['seq']}",
        "type": row["execution_type"],
        "status": row["status"],
        "attempt": row["attempt"],
        "input": decode(row["input"]),
        "output": decode(row["output"]),
        "error": decode(row["error"]),
        "history": history.shown(row["history"]),
        "progress_info": None,
        "created_at": clock.to_rfc3339(row["created_at"]),
        "updated_at": clock.to_rfc3339(row["updated_at"]),
        "children": {},
    }


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
