"""A line between a server and its PostgreSQL that can be cut, above all while a COMMIT is under way."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Self

from appliance.config import DatabaseSettings

_COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
"""The message of a simple query: its type, its length without the type, its text."""


class Cut(StrEnum):
    """What becomes of the next COMMIT before its connection is cut."""

    UNSENT = "never sent"
    UNHEARD = "sent, nothing waited for"
    UNANSWERED = "done, the answer withheld"


class Line:
    """Relays connections on 127.0.0.1 to the socket of a PostgreSQL server.

    `connects` has the moments (monotonic seconds) at which somebody asked for a connection, `trips`
    counts how often somebody sent something and waited for the answer.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[_Wire] = set()
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._next: Cut | None = None
        self._happened = threading.Event()
        self.connects: list[float] = []
        self.trips = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # `close` alone would leave `accept` waiting
        self._listener.close()
        self.resume()
        self.cut()

    def through(self, settings: DatabaseSettings) -> DatabaseSettings:
        """Return how to reach the database of *settings* by this line."""
        name = settings.conninfo.rpartition("dbname=")[2]
        port = self._listener.getsockname()[1]
        plain = "sslmode=disable gssencmode=disable"
        return DatabaseSettings(
            driver="postgres",
            conninfo=f"host=127.0.0.1 port={port} user=postgres dbname={name} {plain}",
        )

    def cut_commit(self, how: Cut, patience_s: float = 10.0) -> None:
        """Cut the connection on which the next COMMIT comes; return when that has happened."""
        self._happened.clear()
        self._next = how
        assert self._happened.wait(patience_s), "nobody commits any more"

    def cut(self) -> None:
        """Cut every connection."""
        with self._lock:
            wires = list(self._open)
        for wire in wires:
            wire.close()

    def halt(self) -> None:
        """Let nothing through in either direction; all connections stay."""
        self._flows.clear()

    def resume(self) -> None:
        """Let through again what was held up."""
        self._flows.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connects.append(time.monotonic())
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._target))
        except OSError:  # PostgreSQL is down, which must look so from the other end too
            server.close()
            client.close()
            return
        wire = _Wire(client, server)
        with self._lock:
            self._open.add(wire)
        threading.Thread(target=self._relay, args=(wire, self._up), daemon=True).start()
        threading.Thread(target=self._relay, args=(wire, self._down), daemon=True).start()

    def _relay(self, wire: _Wire, carry: Callable[[_Wire], None]) -> None:
        with contextlib.suppress(OSError):
            carry(wire)
        wire.close()
        with self._lock:
            self._open.discard(wire)

    def _up(self, wire: _Wire) -> None:
        while data := wire.client.recv(1 << 16):
            self._flows.wait()
            if not wire.asked:
                wire.asked = True
                self.trips += 1
            # psycopg sends a COMMIT when all before it was answered, so it comes by itself
            if data == _COMMIT and self._next is not None:
                self._cut_commit(wire)
                return
            wire.server.sendall(data)

    def _down(self, wire: _Wire) -> None:
        while data := wire.server.recv(1 << 16):
            self._flows.wait()
            wire.asked = False
            if wire.mute:
                wire.answered.set()
                return
            wire.client.sendall(data)

    def _cut_commit(self, wire: _Wire) -> None:
        how, self._next = self._next, None
        wire.mute = True
        if how is not Cut.UNSENT:
            wire.server.sendall(_COMMIT)
        if how is Cut.UNANSWERED:
            wire.answered.wait(5)
        self._happened.set()


class _Wire:
    """The two ends of a connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.asked = False
        """Whether the client has sent something that was not answered yet."""
        self.mute = False
        """Whether the client is to hear nothing any more."""
        self.answered = threading.Event()

    def close(self) -> None:
        """Cut both ends; whoever waits for one of them is woken."""
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
