"""HTTP/1.1 for clients that mean no good: every phase of a request has a deadline and a size limit.

uvicorn waits for ever for a header, a body or a reader; this protocol does not. Its timers are
absolute: a byte now and then does not extend them.
"""

from __future__ import annotations

import asyncio
import re
from email.utils import formatdate
from enum import Enum
from functools import lru_cache
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from appliance import clock
from appliance.operations.addresses import network
from appliance.server.limits import (
    MAX_HEADER_BYTES,
    MAX_HEADER_COUNT,
    MIN_BODY_RATE,
    Limits,
)
from appliance.server.refusals import Refusal

LINGER = 1.0
"""Seconds between a refusal and the end of the connection, so that the client can read it."""


_PORT = rb"[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%%!$&'()*+,;=-]*)(?::(?:%s))?" % _PORT, re.ASCII
)


class Phase(Enum):
    """What the connection waits for."""

    REQUEST = "request"
    HEADERS = "headers"
    BODY = "body"
    END = "end"
    """Nothing any more: it was refused."""


class DeadlineProtocol(HttpToolsProtocol):
    """One connection. Callbacks of the parser raise Refusal; `data_received` gives the answer."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self.phase = Phase.REQUEST
        self.address = ""
        self.head_size = 0
        self.body_size = 0
        self.body_raw = 0
        """Bytes of the body as sent, with the marks of chunks and the trailer."""
        self.body_expected = 0
        self.body_chunked = False
        self._declining = False
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection and begin to wait for a request."""
        super().connection_made(transport)
        self.address = network(self.client[0] if self.client else "")
        if self.limits.enter(self.address):
            self._watch(Phase.HEADERS)
        else:
            self._turn_away()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timers."""
        self._unwatch()
        self.resume_writing()
        self.limits.leave(self.address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a piece, and wait no longer for the next one than the phase allows."""
        while data and self.phase is not Phase.END:
            data = self._feed(data)
        if self._timer is None and self.phase in {Phase.HEADERS, Phase.BODY}:
            self._watch(self.phase)

    def _feed(self, data: bytes) -> bytes:
        """Parse a piece and return what the parser left of it."""
        waited_for = self.phase
        try:
            self.parser.feed_data(data)
            self._count(waited_for, len(data))
        except httptools.HttpParserUpgrade as offer:
            self._decline()
            return data[offer.args[0] :]
        except httptools.HttpParserError as error:
            self._refuse(Refusal.of(error))
        except Refusal as refusal:
            self._refuse(refusal)
        return b""

    # Phases of a message, called by the parser

    def on_message_begin(self) -> None:
        """Begin to count."""
        if self._declining:
            return
        self._unset_keepalive_if_required()
        self.phase = Phase.HEADERS
        self.head_size = self.body_size = self.body_raw = self.body_expected = 0
        self.body_chunked = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the request line."""
        if self._declining:
            return
        self.head_size += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header field. Raises Refusal."""
        if self._declining:
            return
        self.head_size += len(name) + len(value) + 4
        self._check_head_size()
        if name.lower() == b"content-length":
            self.body_expected = int(value)
        elif name.lower() == b"transfer-encoding":
            self.body_chunked = _require_chunked(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the application. Raises Refusal."""
        if self._declining:
            return
        self._check_head()
        if self.body_expected > self.limits.server.max_body:
            raise self._too_large()
        self._unwatch()
        self._unset_keepalive_if_required()
        self.server_state.default_headers = _date(clock.now_us() // clock.MICROSECONDS)
        super().on_headers_complete()
        self.phase = Phase.BODY

    def on_body(self, body: bytes) -> None:
        """Count a piece of the body. Raises Refusal."""
        self.body_size += len(body)
        if self.body_size > self.limits.server.max_body:
            raise self._too_large()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        if self.parser.should_upgrade() and (self.body_expected or self.body_chunked):
            return  # the parser gave up before the body; `_decline` reads it
        self._unwatch()
        self.phase = Phase.REQUEST
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Do not let a client that does not read hold a connection that is closing."""
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self.loop.call_later(self.limits.server.timeout, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # closing would wait for a reader who is not there
        else:
            super().timeout_keep_alive_handler()

    # Slow readers

    def pause_writing(self) -> None:
        """Begin to wait for a slow reader."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.limits.server.timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop waiting: the client reads."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    # Other protocols

    def _decline(self) -> None:
        """Go on with HTTP/1.1 where the parser stopped because the client offered more.

        It stops before a body that belongs to the request, so a fresh one is told of the body alone.
        """
        self.parser = httptools.HttpRequestParser(self)
        if self.phase is Phase.BODY:
            framing = b"Content-Length: %d" % self.body_expected
            if self.body_chunked:
                framing = b"Transfer-Encoding: chunked"
            self._declining = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%s\r\n\r\n" % framing)
            self._declining = False

    # Checks

    def _count(self, waited_for: Phase, size: int) -> None:
        """Count a piece that ended where it began: inside a part that the parser may still hold."""
        if waited_for is not self.phase:
            return
        if self.phase is Phase.HEADERS:
            self.head_size += size
            self._check_head_size()
        elif self.phase is Phase.BODY:
            self.body_raw += size
            if self.body_raw > 2 * self.limits.server.max_body + MAX_HEADER_BYTES:
                raise self._too_large()

    def _check_head(self) -> None:
        self._check_head_size()
        if len(self.headers) > MAX_HEADER_COUNT:
            detail = f"More than {MAX_HEADER_COUNT} header fields were sent."
            raise Refusal(431, "header_too_large", detail)
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise Refusal(400, "bad_request", f"HTTP/{version} is not spoken here, HTTP/1.1 is.")
        if self.body_chunked and version == "1.0":
            raise Refusal(400, "bad_request", "HTTP/1.0 has no Transfer-Encoding.")
        _check_hosts([value for name, value in self.headers if name == b"host"], version)

    def _check_head_size(self) -> None:
        if self.head_size > MAX_HEADER_BYTES:
            detail = f"Request line and header are larger than {MAX_HEADER_BYTES} bytes."
            raise Refusal(431, "header_too_large", detail)

    def _too_large(self) -> Refusal:
        detail = f"The body is larger than {self.limits.server.max_body} bytes."
        return Refusal(413, "too_large", detail)

    # Deadlines

    def _watch(self, phase: Phase) -> None:
        server = self.limits.server
        seconds = server.header_timeout
        if phase is Phase.BODY:
            seconds = server.body_timeout + self.body_expected / MIN_BODY_RATE
        self._timer = self.loop.call_later(seconds, self._expire, seconds)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self, seconds: float) -> None:
        if self.phase is Phase.REQUEST:
            self.transport.close()  # nothing was asked, so there is nothing to answer
            return
        part = "body" if self.phase is Phase.BODY else "header"
        detail = f"The {part} of the request did not arrive within {seconds:g} seconds."
        self._refuse(Refusal(408, "request_timeout", detail))

    # Refusals

    def _refuse(self, refusal: Refusal) -> None:
        """Answer if it is the turn of this request, then let the connection end."""
        in_turn = self._in_turn()
        self.phase = Phase.END
        self._unwatch()
        self._unset_keepalive_if_required()
        self.limits.on_refusal(refusal.status)
        self._disconnect_application()
        if not in_turn or self.transport.is_closing():
            self.transport.abort()
            return
        self.flow.resume_reading()
        self.transport.write(refusal.answer())
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)

    def _in_turn(self) -> bool:
        """Tell whether nothing that was asked before waits for its answer or is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            return self.phase is not Phase.BODY
        return self.phase is Phase.BODY and not self.pipeline and not cycle.response_started

    def _disconnect_application(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def _turn_away(self) -> None:
        """Close a connection that is one too many."""
        self.phase = Phase.END
        self.limits.on_refusal(503)
        refusal = Refusal(503, "too_many_connections", "Too many connections; close some.")
        self.transport.write(refusal.answer())
        self.transport.close()


def _require_chunked(value: bytes) -> bool:
    """Take the one coding that is read here, written in the one way that nobody misreads."""
    if value.strip().lower() != b"chunked":
        raise Refusal(400, "bad_request", "The only Transfer-Encoding that is read is chunked.")
    return True


def _check_hosts(hosts: list[bytes], version: str) -> None:
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise Refusal(400, "bad_request", "A request has exactly one Host header field.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise Refusal(400, "bad_request", "The Host header field holds no name of a host.")


@lru_cache(maxsize=1)
def _date(second: int) -> list[tuple[bytes, bytes]]:
    """Return the Date header; made when it is asked for, so that no timer wakes an idle server."""
    return [(b"date", formatdate(second, usegmt=True).encode())]
