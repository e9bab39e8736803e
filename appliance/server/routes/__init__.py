"""Every route, one module per noun. A handler calls one operation and shows what it returns."""

from __future__ import annotations

from litestar import Router

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


def routers() -> list[Router]:
    """Return the routes, fresh for one application."""
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
    handlers = [handler for noun in nouns for handler in noun.HANDLERS]
    return [
        Router(API, route_handlers=[*handlers, *service.API_HANDLERS]),
        Router("/", route_handlers=service.HANDLERS),
    ]
