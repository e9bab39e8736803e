"""A request as handlers see it: the appliance, who asks, and a body that was read strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException, InternalServerException

from appliance.errors import TooLarge
from appliance.operations.actors import Actor
from appliance.server import payload

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

LARGE_BODY = 65_536
"""Bytes from which on a body is parsed in a thread, so that others are served meanwhile; one body
after the other, for parsing takes many times its size."""


class ApiRequest(Request[Any, Any, State]):
    """Litestar's request with the words of this application."""

    @property
    def appliance(self) -> Appliance:
        """What the server serves."""
        appliance: Appliance = self.app.state.appliance
        return appliance

    @property
    def actor(self) -> Actor:
        """Who asks. Only where the route is not public."""
        actor: Actor = self.scope["state"]["actor"]
        return actor

    @property
    def address(self) -> str:
        """The network address of the client, empty where there is none."""
        return self.client.host if self.client else ""

    async def body(self) -> bytes:
        """Return the whole body. Raises 400 when the client left before it was complete."""
        with _complete():
            return await super().body()

    async def read(self, limit: int) -> bytes:
        """Return the whole body, which has at most *limit* bytes.

        Raises TooLarge as soon as there are more, and 400 when the client left.
        """
        _require_room(self.content_length or 0, limit)
        body = bytearray()
        with _complete():
            async for piece in self.stream():
                body += piece
                _require_room(len(body), limit)
        return bytes(body)

    async def json(self) -> Any:
        """Return the value of the body.

        Raises InvalidInput, and 415 for a body that says to be something else than JSON.
        """
        _require_json(self.headers.get("content-type"))
        return await self.parse(await self.body())

    async def parse(self, body: bytes) -> Any:
        """Return the value of *body*. Raises InvalidInput."""
        if len(body) < LARGE_BODY:
            return payload.parse(body)
        async with self.app.state.parsing:
            return await asyncio.to_thread(payload.parse, body)


@contextmanager
def _complete() -> Iterator[None]:
    try:
        yield
    except InternalServerException as left:
        detail = "The client left before the body was complete."
        raise HTTPException(detail, status_code=400) from left


def _require_room(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(f"The body has more than the {limit} bytes that are taken here.")


def _require_json(content_type: str | None) -> None:
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(
            f"The body is {kind}; send application/json.",
            status_code=415,
            headers={"accept": "application/json"},
        )
