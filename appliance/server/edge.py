"""The outermost layer of the application: a deadline, the header fields of every answer, HEAD.

Nothing gets past it: what goes wrong below ends here as problem details.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

from appliance import clock
from appliance.errors import InvalidInput
from appliance.server.headers import secured
from appliance.server.metrics import Metrics
from appliance.server.problem import Problem, describe, problem, send_problem

log = structlog.get_logger(__name__)


class Edge:
    """Wraps an ASGI application. *timeout* is in seconds; `extend` gives one request more."""

    def __init__(self, app: ASGIApp, *, timeout: float, metrics: Metrics) -> None:
        self._app = app
        self._timeout = timeout
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange(cast("HTTPScope", scope), receive, send, self._timeout)
        started = clock.monotonic()
        self._metrics.in_flight += 1
        try:
            await exchange.run(self._app)
        finally:
            self._metrics.in_flight -= 1
            self._metrics.request(
                exchange.method, exchange.route, exchange.status, clock.monotonic() - started
            )


class Exchange:
    """One request and its answer. `status` is 0 until the answer began."""

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send, timeout: float) -> None:
        self.method = scope["method"]
        self.scope = scope
        if self.method == "HEAD":
            self.scope = cast("HTTPScope", {**scope, "method": "GET"})
        self.status = 0
        self._receive = receive
        self._send = send
        self._timeout = timeout
        self._body_complete = False

    @property
    def route(self) -> str:
        """The template of the path that was asked for; unknown paths share one word."""
        return cast("MutableMapping[str, Any]", self.scope).get("path_template") or "unmatched"

    async def run(self, app: ASGIApp) -> None:
        """Let *app* answer, or say why it cannot."""
        path = self.scope["raw_path"].decode("ascii", "replace")
        try:
            _check_target(self.scope)
            async with asyncio.timeout(self._timeout) as self._deadline:
                self.scope["state"]["deadline"] = self._deadline
                self.scope["state"]["head"] = self.method == "HEAD"
                await app(self.scope, self.receive, self.send)
        except TimeoutError:
            await self._fail(problem(504, "deadline_exceeded", self._late(), path))
        except asyncio.CancelledError:
            await self._fail(problem(503, "stopping", "The server stops; ask again soon.", path))
        except Exception as error:  # noqa: BLE001 - the last resort of the whole server
            await self._fail(describe(error, path))

    async def receive(self) -> ReceiveMessage:
        """Pass on a piece of the body. The connection has a deadline for it, so ours waits."""
        when = self._deadline.when()
        if self._body_complete or when is None:
            return await self._receive()
        self._deadline.reschedule(None)
        began = clock.monotonic()
        message = await self._receive()
        self._deadline.reschedule(when + clock.monotonic() - began)
        self._body_complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass on a piece of the answer, with the header fields that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = secured(message["headers"])
        elif self.method == "HEAD" and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    def _late(self) -> str:
        done = (
            "" if self.method in {"GET", "HEAD"} else "; look whether it was done before you repeat"
        )
        return f"The server did not answer within {self._timeout:g} seconds{done}."

    async def _fail(self, told: Problem) -> None:
        if self.status:
            log.warning(
                "answer.cut_short", method=self.method, instance=told.instance, why=told.code
            )
            return
        await send_problem(self.send, told)


def extend(scope: Scope, seconds: float | None) -> None:
    """Give the request *seconds* from now on; None lifts the deadline (a reader has its own)."""
    deadline: asyncio.Timeout = scope["state"]["deadline"]
    when = None if seconds is None else asyncio.get_running_loop().time() + seconds
    deadline.reschedule(when)


def _check_target(scope: HTTPScope) -> None:
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise InvalidInput("U+0000 cannot be part of an address.")
