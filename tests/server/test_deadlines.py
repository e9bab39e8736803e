"""The protocol against clients that mean no good, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from appliance.config import ServerSettings
from appliance.server.limits import MAX_HEADER_BYTES, MAX_HEADER_COUNT, Limits
from appliance.server.serve import bind, listening

pytestmark = pytest.mark.anyio

IMPATIENT = ServerSettings(
    header_timeout=0.3,
    body_timeout=0.3,
    idle_timeout=0.3,
    timeout=0.3,
    shutdown_timeout=0.2,
    max_body=100_000,
)
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def small(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the size of the body; `/early` does not read it, `/large` sends 65 MB."""
    size = 0
    while scope["path"] != "/early":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1_000 if scope["path"] == "/large" else 0):
        await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
    await send({"type": "http.response.body", "body": b"%d bytes" % size})


class Peer:
    """The other end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def drip(self, data: bytes, pause: float = 0.05) -> None:
        """Send a byte now and then until the server has had enough."""
        for byte in data:
            self.writer.write(bytes([byte]))
            await asyncio.sleep(pause)
            if self.reader.at_eof() or self.reader._buffer:  # type: ignore[attr-defined]
                return

    async def rest(self) -> bytes:
        """Return all that comes until the server closes, or b"cut" when it just cuts."""
        received = b""
        try:
            async with asyncio.timeout(5):
                while data := await self.reader.read(65_536):
                    received += data
        except ConnectionError:
            return received or b"cut"
        return received

    async def answer(self) -> bytes:
        """Return one answer with a body that is chunked, and leave the connection open."""
        async with asyncio.timeout(5):
            return await self.reader.readuntil(b"0\r\n\r\n")


Dial = Callable[[], Awaitable[Peer]]


@asynccontextmanager
async def served(**limits: Any) -> AsyncIterator[tuple[Dial, list[int]]]:
    refused: list[int] = []
    writers: list[asyncio.StreamWriter] = []

    async def dial() -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return Peer(reader, writer)

    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        rules = {"server": IMPATIENT, "on_refusal": refused.append, **limits}
        async with listening(small, listener, Limits(**rules)):
            yield dial, refused
            for writer in writers:
                writer.close()


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    async with served() as (dial, _):
        yield dial


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_a_good_request_is_answered(dial: Dial) -> None:
    """With a Date, and the connection stays open for the next one."""
    peer = await dial()
    for _ in range(2):
        peer.send(HEAD + b"Content-Length: 5\r\n\r\nhello")
        answer = await peer.answer()
        assert 200 == status(answer)
        assert b"\r\ndate: " in answer
        assert b"5 bytes" in answer


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 1000,
        HEAD + b"Content-Length: 1000\r\n\r\n" + b"a" * 999,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"a" * 999,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Slow: " + b"a" * 999,
    ],
)
async def test_no_phase_waits_for_ever(dial: Dial, sent: bytes) -> None:
    """The deadline of a phase is absolute: a byte now and then does not move it."""
    peer = await dial()
    began = time.monotonic()
    peer.send(sent[:-20])
    await peer.drip(sent[-20:])
    answer = await peer.rest()
    assert 408 == status(answer)
    assert b"application/problem+json" in answer
    assert b"nosniff" in answer
    assert 0.25 < time.monotonic() - began < 2.5


@pytest.mark.parametrize("sent", [b"", b"\r\n" * 1000])
async def test_who_asks_nothing_is_not_answered(dial: Dial, sent: bytes) -> None:
    """A connection without a request ends after the time for a header, empty lines or not."""
    peer = await dial()
    began = time.monotonic()
    peer.send(sent[:-20])
    await peer.drip(sent[-20:])
    assert b"" == await peer.rest()
    assert 0.25 < time.monotonic() - began < 2.5


async def test_an_idle_connection_ends(dial: Dial) -> None:
    """Also when empty lines keep coming, which are no request."""
    peer = await dial()
    peer.send(GET)
    await peer.answer()
    began = time.monotonic()
    await peer.drip(b"\r\n" * 100)
    assert b"" == await peer.rest()
    assert time.monotonic() - began < 1


async def test_a_declared_body_has_time_for_its_size() -> None:
    """A slow line may send a large body: the deadline grows with what was declared."""
    patient = ServerSettings(header_timeout=0.3, body_timeout=0.2, max_body=1_000_000)
    async with served(server=patient) as (dial, _):
        peer = await dial()
        peer.send(HEAD + b"Content-Length: 65536\r\n\r\n")
        await asyncio.sleep(0.6)
        peer.send(bytes(65_536))
        assert b"65536 bytes" in await peer.answer()


async def test_a_declared_large_body_is_refused_unread(dial: Dial) -> None:
    """413 comes at once, and no 100 Continue before it."""
    peer = await dial()
    peer.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
    answer = await peer.rest()
    assert 413 == status(answer)
    assert b'"code":"too_large"' in answer


async def test_an_endless_chunked_body_is_cut(dial: Dial) -> None:
    """413 comes at the limit, however the body is chopped up."""
    for piece in (b"ffff\r\n" + bytes(65_535) + b"\r\n", b"1\r\na\r\n" * 10_000):
        peer = await dial()
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 5_000_000 and not peer.reader._buffer:  # type: ignore[attr-defined]
                peer.send(piece)
                sent += len(piece)
                await peer.writer.drain()
                await asyncio.sleep(0.001)
        except ConnectionError:
            pass
        assert 413 == status(await peer.rest())
        assert sent < 5_000_000


@pytest.mark.parametrize(
    "framing",
    [
        b"1;" + b"x" * 400_000,  # an extension of a chunk
        b"0\r\nX-Trailer: " + b"x" * 400_000,
        b"0\r\n" + b"X-Trailer: y\r\n" * 40_000,
    ],
)
async def test_what_goes_with_a_body_is_limited(dial: Dial, framing: bytes) -> None:
    """Extensions of chunks and trailers take no more memory than a body may."""
    peer = await dial()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for begin in range(0, len(framing), 50_000):
        peer.send(framing[begin : begin + 50_000])
        await asyncio.sleep(0.001)
    assert status(await peer.rest()) in {413, 431}


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * MAX_HEADER_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * MAX_HEADER_BYTES + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 600_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * MAX_HEADER_COUNT + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 50_000,
    ],
)
async def test_a_large_header_is_refused(dial: Dial, head: bytes) -> None:
    """431 comes at the limit, also inside a line that does not end."""
    peer = await dial()
    peer.send(head)
    answer = await peer.rest()
    assert 431 == status(answer)
    assert b'"code":"header_too_large"' in answer


async def test_a_reader_that_does_not_read_is_cut_off() -> None:
    """A client that asks for much and reads nothing holds a connection for `timeout` only."""
    with bind("127.0.0.1", 0) as listener:
        limits = Limits(server=IMPATIENT)
        async with listening(small, listener, limits):
            _, writer = await asyncio.open_connection(*listener.getsockname(), limit=1)
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            began = time.monotonic()
            await asyncio.sleep(0.2)
            assert 1 == limits.connected.total()
            while limits.connected.total():
                await asyncio.sleep(0.01)
                assert time.monotonic() - began < 3
            writer.close()


async def test_pipelined_requests_are_answered_in_order(dial: Dial) -> None:
    """One answer per request, and a bad one after a good one does not overtake it."""
    peer = await dial()
    peer.send(b"".join(HEAD + b"Content-Length: %d\r\n\r\n%s" % (n, b"a" * n) for n in range(5)))
    answers = [await peer.answer() for _ in range(5)]
    assert [b"%d bytes" % n in answer for n, answer in enumerate(answers)] == [True] * 5


async def test_an_early_answer_does_not_end_the_limits(dial: Dial) -> None:
    """A body that nobody wants is read within the limits, then the connection serves on."""
    peer = await dial()
    early = b"POST /early HTTP/1.1\r\nHost: x\r\n"
    peer.send(early + b"Content-Length: 90000\r\n\r\n" + bytes(90_000) + GET)
    assert 200 == status(await peer.answer())
    assert 200 == status(await peer.answer())

    endless = await dial()
    endless.send(early + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n")
    endless.send(bytes(400_000))
    assert 1 == (await endless.rest()).count(b"HTTP/1.1")


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
async def test_another_protocol_is_not_taken_up(dial: Dial, body: bytes) -> None:
    """A client that offers HTTP/2 is served by HTTP/1.1, with its body, and may go on."""
    peer = await dial()
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    peer.send(HEAD + offer + body + HEAD + offer + b"\r\n" + HEAD + offer + body[:-3])
    assert b"5 bytes" in await peer.answer()
    assert b"0 bytes" in await peer.answer()
    peer.send(body[-3:] + HEAD + body)
    assert b"5 bytes" in await peer.answer()
    assert b"5 bytes" in await peer.answer()
    peer.send((HEAD + offer + b"\r\n") * 3_000)
    for _ in range(3_000):
        assert b"0 bytes" in await peer.answer()


async def test_connections_per_address_are_capped() -> None:
    """One too many is told so and closed; when another one ends there is room again."""
    async with served(max_per_address=3) as (dial, refused):
        peers = [await dial() for _ in range(4)]
        answer = await peers[3].rest()
        assert (503, True) == (status(answer), b"retry-after: 5" in answer)
        assert [503] == refused
        peers[0].writer.close()
        await asyncio.sleep(0.05)
        again = await dial()
        again.send(GET)
        assert 200 == status(await again.answer())
