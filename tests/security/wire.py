"""A connection of which every byte is ours: what is sent as it is, and each answer as it comes."""

from __future__ import annotations

import json
import select
import socket
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

LIMIT_S = 20.0


class Answer(NamedTuple):
    """An answer, and what of it a client sees first."""

    status: int
    head: bytes
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as an object, empty when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(self.json.get("code", ""))

    @property
    def detail(self) -> str:
        """What a problem tells people."""
        return str(self.json.get("detail", ""))


class Line:
    """One connection to the server at *url*; ended at the end of `with`."""

    def __init__(self, url: str, *, limit_s: float = LIMIT_S, source: str = "") -> None:
        at = urlsplit(url)
        address = (at.hostname, at.port)
        self._socket = socket.create_connection(
            address, limit_s, source_address=(source, 0) if source else None
        )
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError when nobody takes them."""
        self._socket.sendall(data)

    @property
    def readable(self) -> bool:
        """Whether something has come, or the server has closed."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def answer(self, *, bodiless: bool = False) -> Answer | None:
        """Return the next answer, None when the server has closed. Raises OSError."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        status = int(head.split(b" ", 2)[1])
        if bodiless or status in {204, 304}:
            return Answer(status, head, b"")
        fields = dict(line.lower().partition(b": ")[::2] for line in head.split(b"\r\n")[1:])
        if fields.get(b"transfer-encoding") == b"chunked":
            return Answer(status, head, self._chunks())
        return Answer(status, head, self._exactly(int(fields.get(b"content-length", b"0"))))

    def answers(self) -> list[Answer]:
        """Return every answer until the server closes."""
        found = []
        try:
            while (answer := self.answer()) is not None:
                found.append(answer)
        except ConnectionError:
            pass  # a connection that is cut ends like one that is closed
        return found

    def rest(self) -> bytes:
        """Return all that comes until the server closes."""
        try:
            while self._more():
                pass
        except ConnectionError:
            pass
        return self._buffer

    def _more(self) -> bool:
        data = self._socket.recv(65_536)
        self._buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes | None:
        """Return what comes before *mark* and pass it by, None when the server closes before."""
        while mark not in self._buffer:
            if not self._more():
                return None
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size and self._more():
            pass
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.until(b"\r\n") or b"0", 16):
            found += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        return found


def request(
    method: str, target: str | bytes, body: bytes | None = None, /, **fields: str | bytes
) -> bytes:
    """Return a request as bytes; `_` in a name of a field is written `-`."""
    path = target if isinstance(target, bytes) else target.encode()
    given = {"host": "localhost", **fields}
    if body is not None:
        given = {"content_type": "application/json", **given, "content_length": str(len(body))}
    lines = [method.encode() + b" " + path + b" HTTP/1.1"]
    for name, value in given.items():
        text = value if isinstance(value, bytes) else value.encode()
        lines.append(name.replace("_", "-").encode() + b": " + text)
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")
