"""Tasks of the project run by themselves: `/tasks/{id}/executions` and `/executions/tasks`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.engine.status import Status
from appliance.errors import Conflict, NotFound
from appliance.operations import executions
from appliance.server.contract import answers, raises
from appliance.server.edge import extend
from appliance.server.envelope import Envelope, show
from appliance.server.request import ApiRequest
from appliance.server.routes.executions import IdempotencyKey, headers_of
from appliance.server.views import ErrorView, MomentView, Time

URL = "/api/v0/executions/tasks"

Include = Annotated[
    Literal["", "state"],
    QueryParameter(description="`state`: the whole state of the run, not its output alone."),
]


class StartTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task to run; `with` is what it gets."""

    with_: dict[str, Any] | None = msgspec.field(name="with", default=None)


class StartTaskAndWait(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task to run and to wait for, at most `timeout` seconds."""

    with_: dict[str, Any] | None = msgspec.field(name="with", default=None)
    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 60.0


class TaskStartedView(msgspec.Struct, frozen=True):
    """A task that was begun; `exec_url` is where its state is."""

    exec_id: str
    exec_url: str
    task_id: str


class TaskExecutionView(msgspec.Struct, frozen=True):
    """A task that was run by itself."""

    exec_id: str
    task_id: str
    status: Status
    usage: list[dict[str, Any]] | None
    input: Any
    output: Any
    error: ErrorView | None
    origin: dict[str, Any] | None
    started_by: str | None
    created_at: Time
    updated_at: Time
    history: list[MomentView]


class TaskSyncView(msgspec.Struct, frozen=True):
    """A task that was waited for. `state` is there when it was asked for, or has not ended."""

    exec_id: str
    status: Status
    output: Any
    error: ErrorView | None
    usage: list[dict[str, Any]] | None
    state: TaskExecutionView | None = None


@post(
    "/tasks/{task_id:str}/executions",
    status_code=202,
    opt=raises(NotFound, Conflict),
    tags=["executions"],
)
async def start_task(
    request: ApiRequest,
    task_id: FromPath[str],
    data: JSONBody[StartTask | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Envelope[TaskStartedView]]:
    """Begin a task of the project by itself. It is as durable as the run of a workflow."""
    started = await executions.start_task(
        request.appliance,
        request.actor,
        task_id,
        run_input=(data or StartTask()).with_,
        idempotency_key=idempotency_key,
    )
    url = f"{URL}/{started.exec_id}"
    view = TaskStartedView(exec_id=started.exec_id, exec_url=url, task_id=task_id)
    return Response(
        Envelope(data=view, message="Task started", status=202), headers=headers_of(started, url)
    )


@post(
    "/tasks/{task_id:str}/executions/sync",
    status_code=200,
    opt=raises(NotFound, Conflict)
    | answers(408, "The time is over, the task goes on; this is its state", TaskSyncView),
    tags=["executions"],
)
async def run_task(
    request: ApiRequest,
    task_id: FromPath[str],
    data: JSONBody[StartTaskAndWait | None] = None,
    include: Include = "",
    idempotency_key: IdempotencyKey = None,
) -> Response[Envelope[TaskSyncView]]:
    """Begin a task of the project by itself and wait for its end, well or not."""
    wish = data or StartTaskAndWait()
    extend(request.scope, wish.timeout + request.appliance.settings.server.timeout)
    started = await executions.start_task(
        request.appliance,
        request.actor,
        task_id,
        run_input=wish.with_,
        idempotency_key=idempotency_key,
    )
    run, ended = await executions.wait_for(request.appliance, started.exec_id, wish.timeout)
    found = executions.task_of(run)
    shown = {**found, "state": found if include or not ended else None}
    view = show(TaskSyncView, shown)
    if ended:
        return Response(Envelope(data=view))
    message = f"The task did not end within {wish.timeout:g} seconds and goes on"
    return Response(Envelope(data=view, message=message, status=408), status_code=408)


@get("/executions/tasks/{exec_id:str}", opt=raises(NotFound), tags=["executions"])
async def get_task_execution(
    request: ApiRequest, exec_id: FromPath[str]
) -> Envelope[TaskExecutionView]:
    """Show a task that was run by itself."""
    found = await executions.get_task_execution(request.appliance, exec_id)
    return Envelope(data=show(TaskExecutionView, found))


HANDLERS = [start_task, run_task, get_task_execution]
