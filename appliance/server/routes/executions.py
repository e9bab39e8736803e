"""Runs of workflows: `/workflows/{id}/executions` and `/executions/workflows`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from appliance.errors import Conflict, NotFound
from appliance.operations import executions
from appliance.operations.executions import Started
from appliance.server.contract import answers, raises
from appliance.server.edge import extend
from appliance.server.envelope import Cursor, Envelope, Limit, listing, show
from appliance.server.request import ApiRequest
from appliance.server.views import (
    ExecutionList,
    ExecutionView,
    StartedView,
    SyncView,
)

URL = "/api/v0/executions/workflows"

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="The same key with the same request begins one run, however often it is sent.",
    ),
]
_STATUS = "|".join(executions.STATUSES)
StatusFilter = Annotated[
    str | None,
    QueryParameter(
        pattern=f"^({_STATUS})(,({_STATUS}))*$",
        description="Only runs in this state; several are separated by commas.",
    ),
]
Since = Annotated[
    str,
    QueryParameter(max_length=64, description="Only runs begun then or later (RFC 3339)."),
]
Until = Annotated[
    str, QueryParameter(max_length=64, description="Only runs begun before then (RFC 3339).")
]
TaskId = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run to begin, with its first task unless `task_id` names another one."""

    input: dict[str, Any] | None = None
    task_id: TaskId | None = None


class StartAndWait(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run to begin and to wait for, at most `timeout` seconds."""

    input: dict[str, Any] | None = None
    task_id: TaskId | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 60.0


def accepted(started: Started, message: str = "Run started") -> Response[Envelope[StartedView]]:
    """Answer 202 and say where the run is."""
    url = f"{URL}/{started.exec_id}"
    view = StartedView(exec_id=started.exec_id, exec_url=url, workflow_id=started.workflow_id)
    return Response(
        Envelope(data=view, message=message, status=202), headers=headers_of(started, url)
    )


def headers_of(started: Started, url: str) -> dict[str, str]:
    """Return the header fields of the answer to a start."""
    replayed = {"idempotency-replayed": "true"} if started.replayed else {}
    return {"location": url, **replayed}


@get("/workflows/{workflow_id:str}/executions", tags=["executions"])
async def list_executions_of(
    request: ApiRequest,
    workflow_id: FromPath[str],
    *,
    status: StatusFilter = None,
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[ExecutionList]]:
    """List the runs of one workflow, newest first."""
    page = await executions.list_executions(
        request.appliance,
        workflow_id=workflow_id,
        status=status or "",
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return listing(request, ExecutionList, page, limit)


@post(
    "/workflows/{workflow_id:str}/executions",
    status_code=202,
    opt=raises(NotFound, Conflict),
    tags=["executions"],
)
async def start_execution(
    request: ApiRequest,
    workflow_id: FromPath[str],
    data: JSONBody[Start | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Envelope[StartedView]]:
    """Begin a run. It is durable when this answers, and goes on whatever happens."""
    wish = data or Start()
    return accepted(
        await executions.start_execution(
            request.appliance,
            request.actor,
            workflow_id,
            run_input=wish.input,
            task_id=wish.task_id,
            idempotency_key=idempotency_key,
        )
    )


@post(
    "/workflows/{workflow_id:str}/executions/sync",
    status_code=200,
    opt=raises(NotFound, Conflict)
    | answers(408, "The time is over, the run goes on; this is its state", SyncView),
    tags=["executions"],
)
async def run_execution(
    request: ApiRequest,
    workflow_id: FromPath[str],
    data: JSONBody[StartAndWait | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Envelope[SyncView]]:
    """Begin a run and wait for its end, which may also be that it failed."""
    wish = data or StartAndWait()
    extend(request.scope, wish.timeout + request.appliance.settings.server.timeout)
    started = await executions.start_execution(
        request.appliance,
        request.actor,
        workflow_id,
        run_input=wish.input,
        task_id=wish.task_id,
        idempotency_key=idempotency_key,
    )
    state, ended = await executions.wait_for(request.appliance, started.exec_id, wish.timeout)
    run = show(ExecutionView, state)
    view = SyncView(exec_id=run.workflow_exec_id, workflow=run, output=run.output)
    if ended:
        return Response(Envelope(data=view))
    message = f"The run did not end within {wish.timeout:g} seconds and goes on"
    return Response(Envelope(data=view, message=message, status=408), status_code=408)


@get("/executions/workflows", tags=["executions"])
async def list_executions(
    request: ApiRequest,
    *,
    workflow_id: Annotated[
        str | None, QueryParameter(max_length=256, description="Only runs of this workflow.")
    ] = None,
    status: StatusFilter = None,
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[ExecutionList]]:
    """List the runs of all workflows, newest first."""
    page = await executions.list_executions(
        request.appliance,
        workflow_id=workflow_id,
        status=status or "",
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return listing(request, ExecutionList, page, limit)


@get("/executions/workflows/{exec_id:str}", opt=raises(NotFound), tags=["executions"])
async def get_execution(request: ApiRequest, exec_id: FromPath[str]) -> Envelope[ExecutionView]:
    """Show a run with the tree of its tasks."""
    return Envelope(
        data=show(ExecutionView, await executions.get_execution(request.appliance, exec_id))
    )


HANDLERS = [
    list_executions_of,
    start_execution,
    run_execution,
    list_executions,
    get_execution,
]
