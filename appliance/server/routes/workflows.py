"""Workflows as they are defined: `/workflows`."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, delete, get, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from appliance.errors import NotFound
from appliance.operations import workflows
from appliance.server.contract import raises
from appliance.server.envelope import Cursor, Envelope, Limit, listing, show
from appliance.server.preconditions import IfMatch, IfNoneMatch, known, tagged
from appliance.server.request import ApiRequest
from appliance.server.routes.resources import (
    DELETING,
    PUTTING,
    UNCHANGED,
    Definition,
    answer_delete,
    answer_put,
)
from appliance.server.views import WorkflowList, WorkflowView


@get("/workflows", tags=["workflows"])
async def list_workflows(
    request: ApiRequest,
    q: Annotated[str, QueryParameter(max_length=256, description="How the id begins.")] = "",
    expand: Annotated[
        str, QueryParameter(max_length=256, description="Parts to show: tasks, agents, tools.")
    ] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[WorkflowList]]:
    """List the workflows of the project by id."""
    parts = {part.strip() for part in expand.split(",")}
    page = workflows.list_workflows(
        request.appliance, q=q, expand=parts, limit=limit, cursor=cursor
    )
    return listing(request, WorkflowList, page, limit)


@get("/workflows/{workflow_id:str}", opt=raises(NotFound) | UNCHANGED, tags=["workflows"])
async def get_workflow(
    request: ApiRequest, workflow_id: FromPath[str], if_none_match: IfNoneMatch = None
) -> Response[Envelope[WorkflowView] | None]:
    """Show a workflow with its whole definition."""
    found = workflows.get_workflow(request.appliance, workflow_id)
    headers = tagged(found["etag"])
    if known(found["etag"], if_none_match):
        return Response(None, status_code=304, headers=headers)
    return Response(Envelope(data=show(WorkflowView, found)), headers=headers)


@put("/workflows/{workflow_id:str}", opt=PUTTING, tags=["workflows"])
async def put_workflow(
    request: ApiRequest,
    workflow_id: FromPath[str],
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response[Envelope[Definition]]:
    """Create or replace a workflow. New runs use it when this answers; others keep what they have."""
    return await answer_put(request, "workflows", workflow_id, if_match, if_none_match)


@delete("/workflows/{workflow_id:str}", opt=DELETING, tags=["workflows"])
async def delete_workflow(
    request: ApiRequest, workflow_id: FromPath[str], if_match: IfMatch = None
) -> None:
    """Remove a workflow that came through the API. Its runs go on to their end."""
    await answer_delete(request, "workflows", workflow_id, if_match)


def _parts(part: str) -> list[HTTPRouteHandler]:
    async def many(request: ApiRequest, workflow_id: FromPath[str]) -> Envelope[dict[str, Any]]:
        return Envelope(data={part: workflows.list_parts(request.appliance, workflow_id, part)})

    async def one(
        request: ApiRequest, workflow_id: FromPath[str], part_id: FromPath[str]
    ) -> Envelope[Definition]:
        return Envelope(data=workflows.get_part(request.appliance, workflow_id, part, part_id))

    many.__name__, one.__name__ = f"list_workflow_{part}", f"get_workflow_{part[:-1]}"
    many.__doc__ = f"List the {part} of a workflow."
    one.__doc__ = f"Show one of the {part} of a workflow."
    path = f"/workflows/{{workflow_id:str}}/{part}"
    marked: dict[str, Any] = {"opt": raises(NotFound), "tags": ["workflows"]}
    return [get(path, **marked)(many), get(f"{path}/{{part_id:str}}", **marked)(one)]


HANDLERS = [
    list_workflows,
    get_workflow,
    put_workflow,
    delete_workflow,
    *(handler for part in workflows.PARTS for handler in _parts(part)),
]
