"""Workflows as they are defined: `/workflows`."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import FromPath, HeaderParameter, QueryParameter

from appliance.errors import NotFound
from appliance.operations import workflows
from appliance.server.contract import answers, raises
from appliance.server.envelope import Cursor, Envelope, Limit, listing, show
from appliance.server.request import ApiRequest
from appliance.server.views import WorkflowList, WorkflowView


@get("/workflows", tags=["workflows"])
async def list_workflows(
    request: ApiRequest,
    q: Annotated[str, QueryParameter(max_length=256, description="How the id begins.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[WorkflowList]]:
    """List the workflows of the project by id."""
    page = workflows.list_workflows(request.appliance, q=q, limit=limit, cursor=cursor)
    return listing(request, WorkflowList, page, limit)


@get(
    "/workflows/{workflow_id:str}",
    opt=raises(NotFound)
    | answers(304, "The definition is still the one that `If-None-Match` names"),
    tags=["workflows"],
)
async def get_workflow(
    request: ApiRequest,
    workflow_id: FromPath[str],
    if_none_match: Annotated[
        str | None, HeaderParameter(name="If-None-Match", description="The `ETag` that is known.")
    ] = None,
) -> Response[Envelope[WorkflowView] | None]:
    """Show a workflow with its whole definition."""
    found = workflows.get_workflow(request.appliance, workflow_id)
    etag = f'"{found["etag"]}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    if if_none_match and etag in (tag.strip() for tag in if_none_match.split(",")):
        return Response(None, status_code=304, headers=headers)
    return Response(Envelope(data=show(WorkflowView, found)), headers=headers)


HANDLERS = [list_workflows, get_workflow]
