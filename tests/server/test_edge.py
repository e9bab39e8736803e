"""The outermost layer: deadline, header fields, HEAD, the last resort."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import httpx
import pytest
from structlog.testing import capture_logs

from appliance.server.edge import Edge, extend
from appliance.server.headers import SECURITY

pytestmark = pytest.mark.anyio

App = Callable[[Any, Any, Any], Awaitable[None]]


class Counted:
    """Stands in for the metrics and remembers what it was told."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.requests: list[tuple[str, str, int]] = []

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((method, route, status))


async def answer(send: Any, *pieces: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    for number, piece in enumerate(pieces, 1):
        more = number < len(pieces)
        await send({"type": "http.response.body", "body": piece, "more_body": more})


async def ask(app: App, method: str = "GET", path: str = "/", **more: Any) -> httpx.Response:
    timeout, counted = more.pop("timeout", 1), more.pop("counted", Counted())
    edge = cast("Any", Edge(cast("Any", app), timeout=timeout, metrics=cast("Any", counted)))

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        await edge({**scope, "state": {}}, receive, send)

    transport = httpx.ASGITransport(with_state)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path, **more)


async def test_every_answer_has_the_header_fields_of_security() -> None:
    """Also an error; and an answer may say one of them in its own way."""

    async def own(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"", headers=((b"cache-control", b"max-age=1"),))

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError

    for response in (await ask(own), await ask(broken), await ask(own, path="/%00")):
        given = [name for name, _ in response.headers.multi_items()]
        assert {name.decode() for name, _ in SECURITY} <= set(given)
        assert len(given) == len(set(given))
    assert "max-age=1" == (await ask(own)).headers["cache-control"]


async def test_a_late_answer_is_a_problem() -> None:
    """504 at the deadline; to a write it says that it may have been done."""

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(5)

    counted = Counted()
    response = await ask(late, "POST", timeout=0.05, counted=counted)
    assert (504, "deadline_exceeded") == (response.status_code, response.json()["code"])
    assert "look whether it was done" in response.json()["detail"]
    assert "look whether" not in (await ask(late, timeout=0.05)).json()["detail"]
    assert [("POST", "unmatched", 504)] == counted.requests
    assert 0 == counted.in_flight


async def test_a_deadline_can_be_extended() -> None:
    """A handler that was asked to wait gets more time, or no deadline at all."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        extend(scope, 1 if scope["path"] == "/more" else None)
        await receive()
        await asyncio.sleep(0.1)
        await answer(send, b"done")

    for path in ("/more", "/unlimited"):
        assert "done" == (await ask(slow, path=path, timeout=0.03)).text


async def test_the_time_for_a_body_does_not_count() -> None:
    """A slow upload has the deadline of the connection; the answer has its own whole time."""

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await asyncio.sleep(0.05)
        await answer(send, b"read")

    async def slowly() -> Any:
        for _ in range(3):
            await asyncio.sleep(0.05)
            yield b"x"

    assert "read" == (await ask(reads, "POST", content=slowly(), timeout=0.1)).text


async def test_an_answer_that_began_is_not_answered_twice() -> None:
    """What goes wrong after the first byte cuts the answer short, whatever it is."""
    for error in (ValueError("secret"), None):

        async def breaks(scope: Any, receive: Any, send: Any, error: Any = error) -> None:
            start: Any = {"type": "http.response.start", "status": 200, "headers": []}
            await send(start)
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            if error:
                raise error
            await asyncio.sleep(5)

        sent: list[Any] = []

        async def collect(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message["type"])

        edge = Edge(cast("Any", breaks), timeout=0.05, metrics=cast("Any", Counted()))
        scope: Any = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/"}
        scope |= {"query_string": b"", "state": {}}
        await edge(scope, cast("Any", None), cast("Any", collect))
        assert ["http.response.start", "http.response.body"] == sent


async def test_the_unexpected_tells_nothing_but_a_number() -> None:
    """The cause is in the log under that number, and not in the answer."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("hidden")

    with capture_logs() as log:
        response = await ask(broken)
    told = response.json()
    assert (500, "internal") == (response.status_code, told["code"])
    assert told["request_id"] in told["detail"]
    assert "hidden" not in response.text
    assert [(told["request_id"], "hidden")] == [(e["request_id"], str(e["exc_info"])) for e in log]


async def test_head_is_get_without_a_body() -> None:
    """The application sees GET; the client sees the same header fields and nothing else."""

    async def page(scope: Any, receive: Any, send: Any) -> None:
        assert "GET" == scope["method"]
        await answer(send, b"1234", b"56", headers=((b"content-length", b"6"),))

    counted = Counted()
    response = await ask(page, "HEAD", counted=counted)
    assert (b"", "6") == (response.content, response.headers["content-length"])
    assert [("HEAD", "unmatched", 200)] == counted.requests


@pytest.mark.parametrize("path", ["/a%00b", "/?q=%00", "/?%00=q"])
async def test_an_address_with_nul_is_refused(path: str) -> None:
    """No database could compare it."""

    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    response = await ask(never, path=path)
    assert (400, "invalid_input") == (response.status_code, response.json()["code"])


async def test_a_server_that_stops_says_so() -> None:
    """A request that is cut off by the end of the server gets 503, if it has no answer yet."""

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(5)

    asked = asyncio.ensure_future(ask(hangs))
    await asyncio.sleep(0.05)
    asked.cancel()
    response = await asked
    assert (503, "stopping") == (response.status_code, response.json()["code"])
