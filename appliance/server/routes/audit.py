"""The audit log: `/audit`, for admins."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from appliance.operations import audit
from appliance.server.authentication import ADMIN
from appliance.server.envelope import Cursor, Envelope, Limit, listing
from appliance.server.request import ApiRequest
from appliance.server.views import AuditList


@get("/audit", opt=ADMIN, tags=["audit"])
async def list_audit(
    request: ApiRequest,
    action: Annotated[
        str, QueryParameter(max_length=64, description="Only this action, e.g. `key.created`.")
    ] = "",
    by: Annotated[
        str, QueryParameter(max_length=64, description="Only what the user with this id did.")
    ] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[AuditList]]:
    """List what was done to users, keys and backups, newest first."""
    page = await audit.list_audit(
        request.appliance.db, request.actor, action=action, by=by, limit=limit, cursor=cursor
    )
    return listing(request, AuditList, page, limit)


HANDLERS = [list_audit]
