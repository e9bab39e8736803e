"""S4: clients that take their time, many at once. Each has a deadline, and nobody else waits for them."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from statistics import median
from typing import Self
from urllib.parse import urlsplit

import pytest

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server

from .memory import peak_growth
from .twins import API, PROJECT
from .wire import Line, request

DEADLINE_S = 1.0
PATIENCE_S = 6.0
"""Until when each connection of the slow ones has to be gone; for this machine may be busy."""
ENEMY = "127.0.0.2"
"""Where the slow ones come from: another address than everybody else."""
SLOW: dict[str, bytes] = {
    "says nothing": b"",
    "only empty lines": b"\r\n",
    "half of a request line": b"GET /hea",
    "half of a header": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "no body": request("POST", f"{API}/auth/login", content_length="1000"),
    "half of a body": request("POST", f"{API}/auth/login", content_length="1000") + b'{"email": "',
    "half of a chunk": request("POST", f"{API}/hooks/open", transfer_encoding="chunked")
    + b"ff\r\n{",
    "idle": request("GET", "/health"),
}
"""What is sent at once; after it a byte comes now and then."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """A server that waits for a second, where others wait for ten or more, and its process."""
    home = tmp_path_factory.mktemp("slow")
    names = ("SERVER_HTTP_READ_HEADER_TIMEOUT", "SERVER_HTTP_READ_TIMEOUT", "SERVER_TIMEOUT")
    short = dict.fromkeys((*names, "SERVER_HTTP_IDLE_TIMEOUT"), f"{DEADLINE_S:g}s")
    server = Server(
        home, DatabaseSettings(path="app.db"), PROJECT, RATELIMIT_GLOBAL_LIMIT="0", **short
    )
    with server.running() as process:
        yield server, process.pid


@contextmanager
def room_for(connections: int) -> Iterator[None]:
    """Let this process have so many more open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Many slow connections. They send a byte now and then until they are cut off."""

    def __init__(self, url: str, kinds: list[bytes], number: int) -> None:
        at = urlsplit(url)
        self.open: list[socket.socket] = []
        for turn in range(number):
            one = socket.create_connection((at.hostname, at.port), 5, source_address=(ENEMY, 0))
            self.open.append(one)
            one.setblocking(False)
            one.send(kinds[turn % len(kinds)])

    def drip(self, seconds: float, every: float = 0.25) -> int:
        """Go on for so long at most; return how many are still connected."""
        until = time.monotonic() + seconds
        while self.open and time.monotonic() < until:
            self.open = [one for one in self.open if self._goes_on(one)]
            time.sleep(every)
        return len(self.open)

    def close(self) -> None:
        """End those that are left."""
        for one in self.open:
            one.close()

    @staticmethod
    def _goes_on(one: socket.socket) -> bool:
        try:
            with suppress(BlockingIOError):
                if not one.recv(65_536):
                    one.close()
                    return False
            one.send(b"x")
        except OSError:
            one.close()
            return False
        return True


class Visitor:
    """Asks for `/health` again and again, and remembers how long it took; 5 s are too long."""

    def __init__(self, url: str) -> None:
        self._url, self._end = url, threading.Event()
        self.seconds: list[float] = []
        self.failed = 0
        self._thread = threading.Thread(target=self._visit)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _visit(self) -> None:
        while not self._end.wait(0.02):
            begun = time.monotonic()
            try:
                with Line(self._url, limit_s=5) as line:
                    line.send(request("GET", "/health"))
                    answer = line.answer()
                self.failed += answer is None or answer.status != 200
            except OSError:
                self.failed += 1
            self.seconds.append(time.monotonic() - begun)


def outlasting(url: str, kinds: list[bytes], number: int, seconds: float) -> int:
    """Return how many of so many slow connections are still there after so many seconds."""
    crowd = Crowd(url, kinds, number)
    try:
        return crowd.drip(seconds)
    finally:
        crowd.close()


def test_a_thousand_slow_connections(served: tuple[Server, int]) -> None:
    """All of them are gone after their deadline, and whoever asks meanwhile is answered."""
    server, _ = served
    with room_for(1_000), Visitor(server.url) as visitor:
        assert 0 == outlasting(server.url, list(SLOW.values()), 1_000, PATIENCE_S)
    assert len(visitor.seconds) > 5
    assert 0 == visitor.failed
    assert median(visitor.seconds) < 1.0


def test_a_flood_from_one_address(served: tuple[Server, int]) -> None:
    """What is beyond the bound of an address is told so and closed; other addresses notice nothing."""
    server, _ = served
    with room_for(1_100), ExitStack() as stack, Visitor(server.url) as visitor:
        lines = [
            stack.enter_context(Line(server.url, limit_s=5, source=ENEMY)) for _ in range(1_100)
        ]
        told = [answers[0] for line in lines[-20:] if (answers := line.answers())]
        assert [(503, "too_many_connections")] * 20 == [(each.status, each.code) for each in told]
    assert 0 == visitor.failed
    assert median(visitor.seconds) < 1.0


def test_a_client_that_asks_and_does_not_read(served: tuple[Server, int]) -> None:
    """Answers that nobody fetches do not pile up: the connection waits, then it is cut."""
    server, pid = served
    many = request("GET", "/openapi.json") * 1_000
    with (
        peak_growth(pid) as grown,
        Visitor(server.url) as visitor,
        Line(server.url, limit_s=PATIENCE_S, source=ENEMY) as line,
    ):
        with suppress(OSError):
            line.send(many)
        time.sleep(DEADLINE_S + 1)
        size = len(line.rest())
    assert size < len(many) * 100, "all was answered although nobody read"
    assert grown.mib < 32
    assert 0 == visitor.failed


def test_a_server_without_deadlines_is_caught() -> None:
    """This test can fail: where nobody is cut off, every slow connection is still there."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert 8 == outlasting(url, list(SLOW.values()), 8, DEADLINE_S + 1)
