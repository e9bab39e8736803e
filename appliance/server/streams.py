"""Streams of events to clients (server-sent events), for as long as both sides want.

A stream has no deadline, but tells nothing more once the key or session that it began with has ended.
A comment now and then shows that the server is there, and lets it notice a client that is not.
When the server stops, streams end with the wish to come back soon.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple

import msgspec
from litestar.types import Receive, Scope, Send

from appliance.engine.runner import Engine
from appliance.errors import ApplianceError, TooManyRequests
from appliance.language.model import Json
from appliance.operations.actors import Actor
from appliance.operations.watching import Ring
from appliance.server.authentication import require_still
from appliance.server.edge import extend

MEDIA_TYPE = "text/event-stream"
MAX_PER_KEY = 100
"""Streams that may be open with one key or session."""
RETRY_MS = 1000
"""How long a client waits before it comes back."""

_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # a proxy must not hold events back
]
_HELLO = b"retry: %d\n\n" % RETRY_MS
_HEARTBEAT = b": still here\n\n"


class Message(NamedTuple):
    """One event as it is sent; `id` is what the client names to go on after it."""

    event: str
    data: Json
    id: str = ""

    def encode(self) -> bytes:
        """Return the text of the event."""
        name = f"id: {self.id}\n" if self.id else ""
        head = f"{name}event: {self.event}\ndata: ".encode()
        return head + msgspec.json.encode(self.data) + b"\n\n"


Messages = AsyncGenerator[Message, None]
Check = Callable[[], Awaitable[None]]


class Streams:
    """The streams of one application. Belongs to one event loop."""

    def __init__(self, engine: Engine, heartbeat_s: float) -> None:
        self._engine = engine
        self._heartbeat_s = heartbeat_s
        self._open: Counter[str] = Counter()
        self._closed: asyncio.Future[None] | None = None
        self._ring: Ring | None = None

    @property
    def count(self) -> int:
        """How many are open."""
        return self._open.total()

    @property
    def ring(self) -> Ring:
        """What happens in all runs, from the first time on that somebody asks."""
        if self._ring is None:
            self._ring = Ring(self._engine.feed)
            self._engine.watch_all(self._ring)
        return self._ring

    def close(self) -> None:
        """End every stream, those to come as well."""
        if not self._end().done():
            self._end().set_result(None)

    def stream(self, actor: Actor, messages: Messages) -> EventStream:
        """Return the answer that sends *messages*. Raises TooManyRequests."""
        name = actor.key_id or actor.user_id
        if self._open[name] >= MAX_PER_KEY:
            msg = f"{MAX_PER_KEY} streams are open with this key already; close one first."
            raise TooManyRequests(msg, retry_after=RETRY_MS // 1000)
        return EventStream(self, name, messages)

    async def send(self, name: str, messages: Messages, line: Line) -> None:
        """Send *messages* until there are no more, the client left or the server stops."""
        self._open[name] += 1
        try:
            async with aclosing(messages):
                await self._pump(messages, line)
        except ApplianceError as error:
            problem: Json = {"code": error.code, "message": error.message}
            await line.send(Message("error", problem).encode())
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]

    async def _pump(self, messages: Messages, line: Line) -> None:
        """Send what comes, and a heartbeat when nothing does."""
        gone = asyncio.ensure_future(line.left())
        coming = asyncio.ensure_future(anext(messages, None))
        try:
            await line.send(_HELLO)
            while not (gone.done() or self._end().done()):
                done = await _first(coming, gone, self._end(), timeout_s=self._heartbeat_s)
                if coming in done:
                    message = coming.result()
                    if message is None:
                        return
                    coming = asyncio.ensure_future(anext(messages, None))
                    await line.tell(message.encode())
                elif not done:
                    await line.tell(_HEARTBEAT)
            await line.send(_HELLO)
        finally:
            gone.cancel()
            coming.cancel()
            await asyncio.wait([gone, coming])

    def _end(self) -> asyncio.Future[None]:
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
        return self._closed


async def _first(*futures: asyncio.Future[Any], timeout_s: float) -> set[asyncio.Future[Any]]:
    done, _ = await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    return done


class Line:
    """The connection to one client. *check* raises when the client may hear no more."""

    def __init__(self, receive: Receive, send: Send, check: Check) -> None:
        self._receive = receive
        self._check = check
        self._send = send

    async def begin(self) -> None:
        """Send the head of the answer."""
        await self._send({"type": "http.response.start", "status": 200, "headers": _HEAD})

    async def tell(self, body: bytes) -> None:
        """Send a piece to a client that may still hear it. Raises what *check* raises."""
        await self._check()
        await self.send(body)

    async def send(self, body: bytes) -> None:
        """Send a piece; wait while the client does not read."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """Send the end of the answer."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def left(self) -> None:
        """Wait until the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class EventStream:
    """An answer that is a stream; Litestar calls it as the ASGI application that it is."""

    def __init__(self, streams: Streams, name: str, messages: Messages) -> None:
        self._streams = streams
        self._name = name
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, to HEAD the head of it."""
        extend(scope, None)
        line = Line(receive, send, partial(require_still, scope))
        await line.begin()
        if not scope["state"].get("head"):
            await self._streams.send(self._name, self._messages, line)
        await line.end()
