"""The application: routes, authentication and the edge around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from appliance.config import ServerSettings
from appliance.server import problem
from appliance.server.authentication import authentication
from appliance.server.docs import Description
from appliance.server.edge import Edge
from appliance.server.metrics import Metrics
from appliance.server.ratelimit import RateLimits
from appliance.server.request import ApiRequest
from appliance.server.routes import API, handlers
from appliance.server.streams import Streams

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Application:
    """Serves *appliance*, which stays the caller's to close. `state` is that of every request.

    Litestar takes a millisecond or two for a route and there are many, so those of a noun are
    registered with the first request for one of them: a server starts sooner, and so does a command.
    """

    def __init__(self, appliance: Appliance) -> None:
        server, routes = appliance.settings.server, handlers()
        metrics = Metrics(appliance)
        self.state = State(
            {
                "appliance": appliance,
                "metrics": metrics,
                "streams": Streams(appliance.engine, appliance.settings.stream.heartbeat),
                "description": Description(routes),
                "parsing": asyncio.Semaphore(1),
            }
        )
        self._server = server
        self._handlers = _by_noun(routes)
        self._nouns: dict[str, Litestar] = {}
        limited = RateLimits(
            self._route, appliance.settings.ratelimit, unlimited=_unlimited(routes)
        )
        self._edge = Edge(limited, timeout=server.timeout, metrics=metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        scope.setdefault("state", {})
        await self._edge(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        noun = _noun(scope["path"])
        if noun not in self._handlers:
            noun = _noun("/")  # has the words for an address where there is nothing
        if noun not in self._nouns:
            self._nouns[noun] = self._register(self._handlers[noun])
        await self._nouns[noun](scope, receive, send)

    def _register(self, routes: Sequence[HTTPRouteHandler]) -> Litestar:
        return Litestar(
            route_handlers=routes,
            middleware=[authentication],
            request_class=ApiRequest,
            exception_handlers={Exception: _answer},
            cors_config=_cors(self._server),
            request_max_body_size=self._server.max_body,
            openapi_config=None,
            logging_config=None,
            state=self.state,
        )


def _noun(path: str) -> str:
    """Return the first part of a path below the API, or of one beside it."""
    return path.removeprefix(API).lstrip("/").partition("/")[0]


def _by_noun(routes: Iterable[HTTPRouteHandler]) -> dict[str, list[HTTPRouteHandler]]:
    nouns: dict[str, list[HTTPRouteHandler]] = {}
    for handler in routes:
        for noun in {_noun(path) for path in handler.paths}:
            nouns.setdefault(noun, []).append(handler)
    return nouns


def _unlimited(routes: Iterable[HTTPRouteHandler]) -> frozenset[str]:
    return frozenset(path for one in routes if one.opt.get("unlimited") for path in one.paths)


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
