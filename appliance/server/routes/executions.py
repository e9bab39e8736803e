"""Runs of workflows: `/workflows/{id}/executions` and `/executions/workflows`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from appliance.errors import Conflict, NotFound
from appliance.operations import executions
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
# Not of the type Status: as a query, `null` would be read as None and so as no filter.
StatusFilter = Annotated[
    str | None, QueryParameter(enum=executions.STATUSES, description="Only runs in this state.")
]


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run to begin."""

    input: dict[str, Any] | None = None


class StartAndWait(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run to begin and to wait for, at most `timeout` seconds."""

    input: dict[str, Any] | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 60.0


@get("/workflows/{workflow_id:str}/executions", tags=["executions"])
async def list_executions_of(
    request: ApiRequest,
    workflow_id: FromPath[str],
    status: StatusFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[ExecutionList]]:
    """List the runs of one workflow, newest first."""
    page = await executions.list_executions(
        request.appliance, workflow_id=workflow_id, status=status, limit=limit, cursor=cursor
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
    started = await executions.start_execution(
        request.appliance,
        request.actor,
        workflow_id,
        run_input=(data or Start()).input,
        idempotency_key=idempotency_key,
    )
    url = f"/api/v0/executions/workflows/{started.exec_id}"
    headers = {"location": url}
    if started.replayed:
        headers["idempotency-replayed"] = "true"
    view = StartedView(exec_id=started.exec_id, exec_url=url, workflow_id=started.workflow_id)
    return Response(Envelope(data=view, message="Run started", status=202), headers=headers)


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
    state, finished = await executions.run_execution(
        request.appliance,
        request.actor,
        workflow_id,
        run_input=wish.input,
        timeout_s=wish.timeout,
        idempotency_key=idempotency_key,
    )
    run = show(ExecutionView, state)
    view = SyncView(exec_id=run.workflow_exec_id, workflow=run, output=run.output)
    if finished:
        return Response(Envelope(data=view))
    message = f"The run did not end within {wish.timeout:g} seconds and goes on"
    return Response(Envelope(data=view, message=message, status=408), status_code=408)


@get("/executions/workflows", tags=["executions"])
async def list_executions(
    request: ApiRequest,
    workflow_id: Annotated[
        str | None, QueryParameter(max_length=256, description="Only runs of this workflow.")
    ] = None,
    status: StatusFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[ExecutionList]]:
    """List the runs of all workflows, newest first."""
    page = await executions.list_executions(
        request.appliance, workflow_id=workflow_id, status=status, limit=limit, cursor=cursor
    )
    return listing(request, ExecutionList, page, limit)


@get("/executions/workflows/{exec_id:str}", opt=raises(NotFound), tags=["executions"])
async def get_execution(request: ApiRequest, exec_id: FromPath[str]) -> Envelope[ExecutionView]:
    """Show a run with the tree of its tasks."""
    return Envelope(
        data=show(ExecutionView, await executions.get_execution(request.appliance, exec_id))
    )


@post(
    "/executions/workflows/{exec_id:str}/cancel",
    status_code=200,
    opt=raises(NotFound, Conflict),
    tags=["executions"],
)
async def cancel_execution(request: ApiRequest, exec_id: FromPath[str]) -> Envelope[ExecutionView]:
    """Stop a run and everything it is doing. It has stopped when this answers."""
    return Envelope(
        data=show(ExecutionView, await executions.cancel_execution(request.appliance, exec_id))
    )


HANDLERS = [
    list_executions_of,
    start_execution,
    run_execution,
    list_executions,
    get_execution,
    cancel_execution,
]
