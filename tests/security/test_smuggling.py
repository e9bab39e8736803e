"""S6: nobody gets a second request past a proxy: one answer for each, and what is doubtful is 400."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from .smuggling import GOOD, REFUSED, TAKEN
from .twins import Twins
from .wire import Line

LAST = GOOD.replace(b"GET / ", b"GET /smuggled ").replace(
    b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
)
"""What stands behind: only after what was read whole it is a request."""


def statuses(url: str, data: bytes) -> list[int]:
    """Return the status of each answer to *data* until the server closes."""
    with Line(url) as line:
        line.send(data)
        return [answer.status for answer in line.answers()]


def smuggled(url: str) -> list[str]:
    """Return what is not refused, or not as the only thing that is answered."""
    found = {name: statuses(url, data + LAST) for name, data in REFUSED.items()}
    return [f"{name}: {answers}" for name, answers in found.items() if answers != [400]]


def test_what_two_servers_could_read_differently_is_refused(both: Twins) -> None:
    """400, one answer, and whatever follows on the connection is not read as a request."""
    assert len(REFUSED) + len(TAKEN) > 100
    assert [] == smuggled(both.servers["sqlite"].url)


def test_a_refusal_says_what_it_is(both: Twins) -> None:
    """It is a problem like any other, with the header fields of security, and it closes."""
    with Line(both.servers["sqlite"].url) as line:
        line.send(REFUSED["length and chunked"])
        answer = line.answer()
        assert answer is not None
        assert (400, "bad_request") == (answer.status, answer.code)
        assert b"nosniff" in answer.head
        assert b"connection: close" in answer.head
        assert line.answer() is None


@pytest.mark.parametrize("name", TAKEN)
def test_what_only_looks_like_it_is_taken(both: Twins, name: str) -> None:
    """One answer for each request; a request inside of a body is a body."""
    data, expected = TAKEN[name]
    ends = name in {"HTTP/1.0", "the last one"}
    assert expected + ([] if ends else [404]) == statuses(both.servers["sqlite"].url, data + LAST)


def test_a_request_that_comes_byte_by_byte_is_the_same(both: Twins) -> None:
    """Where a piece ends means nothing."""
    url = both.servers["sqlite"].url
    for data in (REFUSED["chunked and length"], TAKEN["a request as a chunk"][0]):
        whole = statuses(url, data + LAST)
        with Line(url) as line:
            for byte in data + LAST:
                with suppress(ConnectionError):
                    line.send(bytes([byte]))
            assert whole == [answer.status for answer in line.answers()]


def test_a_lenient_server_is_caught() -> None:
    """This test can fail: of a server that reads what it can all of them are reported."""
    with lenient() as url:
        assert len(REFUSED) == len(smuggled(url))


@contextmanager
def lenient() -> Iterator[str]:
    """A server that takes each line with HTTP in it for a request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        data = connection.recv(65_536)
                        number = max(1, data.count(b"HTTP"))
                        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" * number)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}"
