"""Nodes: `/nodes`, for admins."""

from __future__ import annotations

from litestar import get

from appliance.operations import nodes
from appliance.server.authentication import ADMIN
from appliance.server.envelope import Envelope, show
from appliance.server.request import ApiRequest
from appliance.server.views import NodeList


@get("/nodes", opt=ADMIN, tags=["nodes"])
async def list_nodes(request: ApiRequest) -> Envelope[NodeList]:
    """List the servers that share the database, with their load and the age of their lease."""
    found = await nodes.list_nodes(request.appliance, request.actor)
    return Envelope(data=show(NodeList, {"nodes": found}))


HANDLERS = [list_nodes]
