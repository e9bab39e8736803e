"""A lean HTTP/1.1 client: what is measured is the server, not the one who asks."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping
from typing import Any, cast

import uvloop

from benchmarks.peers.load import Load, closed_loop

LIMIT_S = 60  # of runs that were begun in time


def request(path: str, body: Any, headers: Mapping[str, str]) -> bytes:
    """Return a POST as it goes over the wire."""
    content = json.dumps(body).encode()
    fields = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


class Connection(asyncio.Protocol):
    """One connection that stays open and carries one request after the other."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep *transport*."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if not length:
            self._fail(f"an answer without a length: {head!r}")
        elif len(self._received) >= end + 4 + int(length):
            body = bytes(self._received[end + 4 :])
            self._received.clear()
            if not head.startswith(b"http/1.1 2"):
                self._fail(f"{head[:12].decode()}: {body.decode(errors='replace')}")
            elif self._answer is not None:
                self._answer.set_result(body)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the one who waits."""
        self._fail(f"the connection was closed: {error}")

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(reason))

    async def send(self, message: bytes) -> bytes:
        """Return the body of the answer to *message*.

        Raises:
            ConnectionError: it was refused, or the connection was lost.

        """
        if self.transport.is_closing():
            raise ConnectionError("the connection was closed")
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        return await self._answer


def load(port: int, message: bytes, in_flight: int, seconds: float) -> Load:
    """Send *message* in a closed loop over *in_flight* connections."""

    async def run() -> Load:
        loop = asyncio.get_running_loop()
        connections = [
            (await loop.create_connection(Connection, "127.0.0.1", port))[1]
            for _ in range(in_flight)
        ]

        async def call(connection: Connection) -> None:
            await connection.send(message)

        try:
            callers = [functools.partial(call, connection) for connection in connections]
            return await asyncio.wait_for(closed_loop(callers, seconds), seconds + LIMIT_S)
        finally:
            for connection in connections:
                connection.transport.close()

    return uvloop.run(run())


def send(port: int, messages: list[bytes]) -> list[bytes]:
    """Send *messages* one after the other and return the bodies of the answers."""

    async def run() -> list[bytes]:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        try:
            return [await connection.send(message) for message in messages]
        finally:
            connection.transport.close()

    return uvloop.run(run())
