"""The wire: a connection on which the servers of a PostgreSQL database tell each other what happens.

What is told may be lost with a connection, so it only ever says where to look; whoever missed it
looks a little later. It has a connection of its own: PostgreSQL lets one transaction at a time
commit that tells something, and the writer must not wait for that.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector

import psycopg

from appliance.errors import ApplianceError
from appliance.store.postgres import Connection

RECONNECT_AFTER_S = 1.0
MOST_WAITING = 1000
"""Messages that are kept while there is no connection; the oldest ones are lost then."""


class Wire:
    """Hears and tells on a thread of its own, for as long as it is open.

    *hear* is called on that thread with each message, *connected* whenever what was told before may
    have been missed. *session* is locked while there is a connection: it shows that we live.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        statements: Mapping[str, bytes],
        session: int,
        *,
        hear: Callable[[str], None],
        connected: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._statements = statements
        self._session = session
        self._hear = hear
        self._connected = connected
        self._waiting: deque[str] = deque(maxlen=MOST_WAITING)
        self._closed = threading.Event()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._rope, False)
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)
        self._thread.start()

    def tell(self, text: str) -> None:
        """Tell the others *text* soon. Any thread may call it; nobody waits."""
        if not self._closed.is_set():  # the rope may be another file by then
            self._waiting.append(text)
            self._ring()

    def close(self) -> None:
        """Hang up. What was told before is on its way."""
        self._closed.set()
        self._ring()
        self._thread.join()
        os.close(self._rope)
        os.close(self._bell)

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already, and nobody has come yet
            os.write(self._rope, b"!")

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connect() as connection:
                    self._serve(connection)
            except (ApplianceError, psycopg.Error, OSError):
                self._closed.wait(RECONNECT_AFTER_S)

    def _serve(self, connection: Connection) -> None:
        connection.autocommit = True
        connection.add_notify_handler(lambda notice: self._hear(notice.payload))
        connection.execute(self._statements["lock_session"], {"session": self._session})
        connection.execute(b"LISTEN compozy")
        self._connected()
        with DefaultSelector() as ready:  # `select` takes no file beyond the 1023rd
            ready.register(self._bell, EVENT_READ, self._send)
            ready.register(connection, EVENT_READ, self._receive)
            while not self._closed.is_set():
                for key, _ in ready.select():
                    key.data(connection)

    def _send(self, connection: Connection) -> None:
        os.read(self._bell, 4096)
        while self._waiting:
            text = self._waiting.popleft()
            connection.execute(self._statements["notify_nodes"], {"text": text})

    def _receive(self, connection: Connection) -> None:
        connection.pgconn.consume_input()
        while notice := connection.pgconn.notifies():
            self._hear(notice.extra.decode())
