"""Every route, one module per noun. A handler calls one operation and shows what it returns."""

from __future__ import annotations

from copy import copy

from litestar.handlers import HTTPRouteHandler
from litestar.utils import join_paths

from appliance.server.routes import (
    audit,
    auth,
    backups,
    commands,
    events,
    executions,
    hooks,
    keys,
    memories,
    nodes,
    project,
    resources,
    schedules,
    service,
    streams,
    tasks,
    users,
    workflows,
)

API = "/api/v0"


def handlers() -> list[HTTPRouteHandler]:
    """Return the handlers of all routes, fresh for one application."""
    nouns = (
        workflows,
        executions,
        commands,
        streams,
        tasks,
        schedules,
        events,
        users,
        auth,
        keys,
        audit,
        backups,
        hooks,
        memories,
        nodes,
        project,
        resources,
    )
    found = [handler for noun in nouns for handler in noun.HANDLERS]
    return [*map(_below_api, [*found, *service.API_HANDLERS]), *service.HANDLERS]


def _below_api(handler: HTTPRouteHandler) -> HTTPRouteHandler:
    """Return a handler with its paths in full. A `Router` does so too, but registers it once more."""
    handler = copy(handler)
    handler.paths = {join_paths([API, path]) for path in handler.paths}
    return handler
