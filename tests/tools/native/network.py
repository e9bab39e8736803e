"""A network for tests: a server that answers in scripted bytes, and a resolver that says anything.

Workers run `sitecustomize`, written by `Network.environment`. In them every public address is where
the server of the test listens, and what was looked up and connected to is written down.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CERTIFICATE = Path(__file__).parent / "secure.test.pem"
"""Of the host secure.test, signed by itself, valid for a century."""

HOME = "127.0.0.2"
"""Where the server listens: not the address that connections to it come from."""

SITE = """
import json, socket
names, port, log = json.loads({plan!r})
turns = {{}}

def note(*what):
    with open(log, "a") as file:
        print(json.dumps(what), file=file)

def look_up(host, wanted, *args, **options):
    turn = turns[host] = turns.get(host, -1) + 1
    answers = names.get(host)
    if answers is None:
        raise socket.gaierror(-2, "Name or service not known")
    found = answers[min(turn, len(answers) - 1)]
    note("lookup", host, found)
    if found == ["slow"]:
        import time
        time.sleep(60)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, wanted)) for each in found]

def connect(address, *args, **options):
    note("connect", *address)
    own = address[0] == "127.0.0.1"
    found = socket.socket()
    found.connect((address[0] if own else {home!r}, port))
    return found

socket.getaddrinfo, socket.create_connection = look_up, connect
"""

Answer = bytes | Callable[[socket.socket], None]


class Network:
    """Answers requests on `port`; what came in is in `requests`, head and body as they were."""

    def __init__(self, directory: Path, *, secure: bool = False) -> None:
        self._directory = directory
        self._answers: dict[str, Answer] = {}
        self._listener = socket.create_server((HOME, 0))
        self._context: ssl.SSLContext | None = None
        if secure:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATE)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def answer(self, path: str, answer: Answer) -> None:
        """Let requests for *path* get these bytes, or what a function sends."""
        self._answers[path] = answer

    def environment(self, names: dict[str, list[list[str]]]) -> dict[str, str]:
        """Return variables for workers: *names* are the answers to each lookup, one after the other."""
        plan = json.dumps([names, self.port, str(self._directory / "log")])
        (self._directory / "sitecustomize.py").write_text(SITE.format(plan=plan, home=HOME))
        return {"PYTHONPATH": str(self._directory)}

    def noted(self, what: str) -> list[list[object]]:
        """Return what workers looked up (`lookup`) or connected to (`connect`)."""
        log = self._directory / "log"
        lines = map(json.loads, log.read_text().splitlines() if log.exists() else [])
        return [line[1:] for line in lines if line[0] == what]

    def forget(self) -> None:
        """Begin a test: nothing was asked yet, and only `/` has an answer."""
        self.requests.clear()
        (self._directory / "log").unlink(missing_ok=True)
        self._answers = {"/": ok(b"hello", "Content-Type: text/plain")}

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, plain: socket.socket) -> None:
        with suppress(OSError), plain:
            connection = (
                self._context.wrap_socket(plain, server_side=True) if self._context else plain
            )
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            size = [
                line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            ]
            while size and len(body) < int(size[0].split(b":")[1]):
                body += connection.recv(65536)
            self.requests.append(head + b"\r\n\r\n" + body)
            answer = self._answers[head.split()[1].decode()]
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
            connection.close()


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a well-formed answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def moved(location: str, status: str = "302 Found") -> bytes:
    """Return a redirect."""
    return ok(b"moved", f"Location: {location}", status=status)


def drip(connection: socket.socket) -> None:
    """Send a byte now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with suppress(OSError):
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)


@contextmanager
def network(directory: Path, *, secure: bool = False) -> Iterator[Network]:
    """Hold a network open."""
    found = Network(directory, secure=secure)
    try:
        yield found
    finally:
        found.close()
