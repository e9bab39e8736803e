"""S5: what is too big. Refused at the limit and closed, with little memory; what fits is quick."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import pytest

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server

from .memory import peak_growth
from .twins import API, PROJECT, Twins, flaws
from .wire import Answer, Line, request

PIECE = b"ffff\r\n" + b" " * 65_535 + b"\r\n"
ENOUGH = 64 << 20
"""Bytes after which a body without an end is given up by its sender."""
LOGIN = f"{API}/auth/login"
HOOK = f"{API}/hooks/open"
FIELDS = ("accept", "accept_encoding", "authorization", "content_type", "cookie", "expect", "forwarded",
          "idempotency_key", "if_match", "if_none_match", "last_event_id", "origin", "range",
          "x_forwarded_for")  # fmt: skip
SQUIGGLES = (b"a,", b";", b"=", b'"', b"\\", b"/", b"%", b"a=b; ", b"*/*;q=0.1,", b'W/"x", ')
"""Of what long values are made, for whoever takes them apart."""


def endless(url: str, head: bytes, piece: bytes) -> tuple[int, int]:
    """Send *piece* until the server has had enough; return how much, and the status of the answer.

    0 stands for no answer.
    """
    sent, answer = 0, None
    with Line(url, limit_s=3) as line:
        line.send(head)
        with suppress(OSError):
            while sent < ENOUGH and not line.readable:
                line.send(piece)
                sent += len(piece)
            answer = line.answer()
        return sent, answer.status if answer else 0


@pytest.mark.parametrize(
    ("path", "piece"),
    [
        (LOGIN, PIECE),
        (HOOK, PIECE),
        (LOGIN, b"1\r\n \r\n" * 10_000),
        (LOGIN, b"1;" + b"x" * 65_536),
        (f"{API}/workflows/odd", PIECE),
        ("/nothing", PIECE),
    ],
)
def test_a_body_without_an_end(both: Twins, path: str, piece: bytes) -> None:
    """Cut soon after the limit, whoever it is for; it takes memory for one body and no more."""
    server, pid = both.servers["sqlite"], both.pids["sqlite"]
    method = "PUT" if path.endswith("odd") else "POST"
    key = f"Bearer {server.admin_key}"
    with peak_growth(pid) as grown:
        head = request(method, path, transfer_encoding="chunked", authorization=key)
        for _ in range(3):  # who still sends may lose the answer with the connection: RFC 9112, 9.6
            sent, status = endless(server.url, head, piece)
            if status:
                break
    assert status == (404 if path == "/nothing" else 413)
    assert sent < ENOUGH / 2
    assert grown.mib < 40


def test_a_body_that_is_declared_is_refused_unread(both: Twins) -> None:
    """413 before a byte of it is sent, and the connection ends."""
    with peak_growth(both.pids["sqlite"]) as grown, Line(both.servers["sqlite"].url) as line:
        line.send(request("POST", LOGIN, content_length=str(1 << 40)))
        answer = line.answer()
        assert answer is not None
        assert (413, "too_large") == (answer.status, answer.code)
        assert line.answer() is None
    assert grown.mib < 8


@cache
def bomb() -> bytes:
    """Return 64 kB that are 64 MB."""
    return gzip.compress(bytes(64 << 20))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
@pytest.mark.parametrize("path", [LOGIN, HOOK, f"{API}/workflows/odd"])
def test_a_packed_body_is_not_unpacked(both: Twins, path: str, coding: str) -> None:
    """Nobody who sends 64 kB makes the server hold 64 MB."""
    method = "PUT" if path.endswith("odd") else "POST"
    with peak_growth(both.pids["sqlite"]) as grown:
        answers = both.ask(method, path, bomb(), content_encoding=coding)
    assert [] == flaws(answers)
    assert {400, 415} >= {answer.status for answer in answers.values()}
    assert grown.mib < 16


@pytest.mark.parametrize(
    "data",
    [
        request("GET", "/" + "a" * 100_000),
        request("GET", "/health?" + "a=1&" * 30_000),
        request("GET", "/health", x_long="a" * 100_000),
        request("GET", "/health", **{f"x{n}": "y" for n in range(200)}),
        request("GET", "/health", cookie="a=b; " * 20_000),
        request("A" * 100_000, "/health"),
    ],
    ids=["path", "query", "field", "fields", "cookie", "method"],
)
def test_a_head_that_is_too_big(both: Twins, data: bytes) -> None:
    """431 at the limit; what follows is not read."""
    with Line(both.servers["sqlite"].url) as line:
        line.send(data)
        answers = line.answers()
    assert len(answers) == 1
    assert answers[0].status in {400, 431}


def test_many_keys_are_read_quickly(both: Twins) -> None:
    """100,000 keys, also such as share the end of their hashes, are an input like any other."""
    for keys in (range(100_000), range(0, 100_000 << 13, 1 << 13)):
        body = b'{"input": {%s}}' % b",".join(b'"%d":0' % key for key in keys)
        begun = time.monotonic()
        with peak_growth(both.pids["sqlite"]) as grown:
            answers = both.ask("POST", f"{API}/workflows/tells/executions", body)
        assert {202} == {answer.status for answer in answers.values()}, answers
        assert time.monotonic() - begun < 10
        assert grown.mib < 150


def test_long_values_are_taken_apart_quickly(both: Twins) -> None:
    """No field of a header, and no query, keeps the server busy: time grows as the length does."""
    slow = []
    for field in FIELDS:
        for piece in SQUIGGLES:
            value = (piece * 60_000)[:60_000]
            seconds, answer = _timed(
                both.servers["sqlite"], request("POST", HOOK, b"{}", **{field: value})
            )
            assert answer.status < 500
            if seconds > 3:
                slow.append((field, piece, seconds))
    for piece in (*SQUIGGLES, b"a=1&", b"%2f", b"+"):
        target = f"{API}/workflows?q=".encode() + (piece.replace(b" ", b"") * 60_000)[:60_000]
        key = f"Bearer {both.servers['sqlite'].admin_key}"
        seconds, answer = _timed(both.servers["sqlite"], request("GET", target, authorization=key))
        assert answer.status < 500
        if seconds > 3:
            slow.append(("query", piece, seconds))
    assert [] == slow


def _timed(server: Server, data: bytes) -> tuple[float, Answer]:
    begun = time.monotonic()
    with Line(server.url) as line:
        line.send(data)
        answer = line.answer()
    assert answer is not None
    return time.monotonic() - begun, answer


@pytest.fixture
def unlimited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """A server that takes bodies of any size."""
    home = tmp_path_factory.mktemp("unlimited")
    server = Server(home, DatabaseSettings(path="app.db"), PROJECT, SERVER_MAX_BODY="2GiB")
    with server.running() as process:
        yield server, process.pid


def test_a_server_without_a_limit_is_caught(unlimited: tuple[Server, int]) -> None:
    """This test can fail: where nothing is cut, all is swallowed and the memory shows it."""
    server, pid = unlimited
    key = f"Bearer {server.admin_key}"
    head = request("PUT", f"{API}/workflows/odd", transfer_encoding="chunked", authorization=key)
    with peak_growth(pid) as grown:
        sent, status = endless(server.url, head, PIECE)
    assert 0 == status
    assert sent >= ENOUGH
    assert grown.mib > 40
