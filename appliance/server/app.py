"""The application: routes, authentication and the edge around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from appliance.config import ServerSettings
from appliance.server import problem
from appliance.server.authentication import authentication
from appliance.server.docs import Description
from appliance.server.edge import Edge
from appliance.server.metrics import Metrics
from appliance.server.openapi import operations
from appliance.server.ratelimit import RateLimits
from appliance.server.request import ApiRequest
from appliance.server.routes import routers
from appliance.server.streams import Streams

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def create_app(appliance: Appliance) -> Litestar:
    """Return the ASGI application that serves *appliance*, which stays the caller's to close."""
    server = appliance.settings.server
    metrics = Metrics(appliance)
    streams = Streams(appliance.engine, appliance.settings.stream.heartbeat)
    state = {"appliance": appliance, "metrics": metrics, "streams": streams}
    app = Litestar(
        route_handlers=routers(),
        middleware=[authentication],
        request_class=ApiRequest,
        exception_handlers={Exception: _answer},
        cors_config=_cors(server),
        request_max_body_size=server.max_body,
        openapi_config=None,
        logging_config=None,
        state=State({**state, "parsing": asyncio.Semaphore(1)}),
    )
    app.state.description = Description(app)
    limited = RateLimits(app.asgi_handler, appliance.settings.ratelimit, unlimited=_unlimited(app))
    app.asgi_handler = Edge(limited, timeout=server.timeout, metrics=metrics)
    return app


def _unlimited(app: Litestar) -> frozenset[str]:
    found = operations(app)
    return frozenset(one.path for one in found if one.handler.opt.get("unlimited"))


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if isinstance(error, MethodNotAllowedException):
        allowed = ", ".join(_allowed(request))
        error.headers = {"allow": allowed}
        error.detail = f"{request.method} is not possible here, only {allowed}."
    elif type(error) is NotFoundException:
        error.detail = "There is nothing at this address; /docs lists what there is."
    return problem.respond(request, error)


def _allowed(request: Request[Any, Any, Any]) -> list[str]:
    """Return the methods of the path that was asked for; HEAD is answered wherever GET is."""
    routing = request.app.asgi_router.handle_routing
    path = request.scope["path"].rstrip("/") or "/"
    found = [method for method in _METHODS if _routes(routing, path, method)]
    return ["HEAD", *found] if "GET" in found else found


def _routes(routing: Callable[..., Any], path: str, method: str) -> bool:
    try:
        routing(path=path, method=method)
    except HTTPException:
        return False
    return True


def _cors(server: ServerSettings) -> CORSConfig | None:
    if not server.cors_enabled:
        return None
    return CORSConfig(
        allow_origins=list(server.cors_allowed_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=[
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "last-event-id",
        ],
        expose_headers=[
            "location",
            "link",
            "etag",
            "retry-after",
            "idempotency-replayed",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
        ],
        max_age=86_400,
    )
