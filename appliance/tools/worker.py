"""A worker as the server sees it: a process, leader of its group, that runs one call at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from appliance.tools.calls import (
    RETRYABLE,
    ToolCall,
    ToolFailure,
    ToolOutcome,
    ToolResult,
    crashed,
    crashed_with,
    timed_out,
)

REPLY_LIMIT = 16 << 20
"""Bytes of a reply. The worker keeps to less; this is for one that lost its mind."""

KILL_GRACE = 2.0
"""Seconds that a process may take to end after it was asked, or was killed."""


PATIENCE = 0.005
"""Seconds that a call waits for a worker, and a worker for whatever its call does, without more."""

COMPUTING_PATIENCE = 0.1
"""The same where the worker needs a processor: another worker would need one as well."""


class Owner(Protocol):
    """Who gives calls to a worker."""

    def free(self, worker: Worker) -> None:
        """Take note that *worker* can run the next call."""
        ...


class _Failure(msgspec.Struct):
    code: str
    message: str
    details: dict[str, Any]


class _Reply(msgspec.Struct):
    output: msgspec.Raw = msgspec.Raw()
    failure: _Failure | None = None
    last: bool = False


_decode = msgspec.json.Decoder(_Reply).decode


class Worker:
    """One process. It is used until it is `doomed`; its number is its own until `bury` was called."""

    def __init__(
        self, connection: socket.socket, loop: asyncio.AbstractEventLoop, owner: Owner
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._loop = loop
        self._owner = owner
        self._unsent = b""
        self._received = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._verdict: ToolFailure | None = None
        self.pid = 0
        """Zero until it is born and after it is buried."""
        self.call: ToolCall | None = None
        self._abandoned: ToolCall | None = None
        """A call that was killed: it is over when the process is gone."""
        self.since = 0.0
        """When it was last given a call or got free, by the clock of the event loop."""
        self.doomed = False
        """Whether it is ending, so that no call may be given to it."""
        self.leaving = False
        """Whether it is to end after its present call."""

    def born(self, pid: int) -> None:
        """Take note of the number; from now on calls can be started."""
        self.pid = pid
        if self.doomed:
            self.kill()  # it was given up before it was born
        else:
            self._loop.add_reader(self._connection, self._readable)

    # -- calls ------------------------------------------------------------------------------------

    def start(self, call: ToolCall) -> bool:
        """Send *call* to the process. False when it is gone already: then nothing was begun."""
        try:
            sent = self._connection.send(call.frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.retire()
            return False
        if sent < len(call.frame):
            self._unsent = call.frame[sent:]
            self._loop.add_writer(self._connection, self._writable)
        self.call = call
        call.begin(self)
        self.since = self._loop.time()
        self._timer = self._loop.call_later(call.timeout, self._expire)
        return True

    def held_up(self, now: float) -> bool:
        """Tell whether the present call keeps the process for long, without keeping a core busy."""
        if self.call is None:
            return False
        ran = now - self.since
        return ran >= COMPUTING_PATIENCE or (ran >= PATIENCE and self._sleeps())

    def _sleeps(self) -> bool:
        """Tell whether the process waits for something else than a core or the next call."""
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            with suppress(OSError):
                status = Path(f"/proc/{self.pid}/stat").read_bytes()
                return status.rpartition(b")")[2][1:2] in b"SD"
        except OSError:
            pass
        return False

    def abandon(self, call: ToolCall) -> None:
        """Kill the process if it is running *call*. No outcome will be delivered."""
        if self.call is call:
            self.call, self._abandoned = None, call
            self.kill()

    def _finish(self, outcome: ToolOutcome) -> None:
        self._cancel_timer()
        call, self.call = self.call, None
        if not self.doomed:
            self._owner.free(self)
        if call is not None:
            call.worker = None
            call.finish(outcome)

    def _expire(self) -> None:
        """Kill a call that has no time left; report it when the process is gone.

        A process that cannot be killed (it waits for a broken disk) is not waited for.
        """
        if self.call is None:
            return
        if self._verdict is None:
            self._verdict = timed_out(self.call)
            self.kill()
            self._timer = self._loop.call_later(KILL_GRACE, self._expire)
        else:
            self._finish(self._verdict)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- bytes ------------------------------------------------------------------------------------

    def _writable(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._loop.remove_writer(self._connection)

    def _readable(self) -> bool:
        """Take in what has come. Return whether there may be more."""
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        elif not self._received and int.from_bytes(data[:4]) == len(data) - 4:
            self._answered(data[4:])
        else:
            self._collect(data)
        return not self.doomed

    def _collect(self, data: bytes) -> None:
        received = self._received
        received += data
        size = int.from_bytes(received[:4]) + 4
        if size > REPLY_LIMIT or len(received) > max(size, 4):
            self._broken()
        elif len(received) == size:
            self._received = bytearray()
            self._answered(bytes(received)[4:])

    def _answered(self, body: bytes) -> None:
        try:
            reply = _decode(body)
        except (msgspec.DecodeError, RecursionError):
            self._broken()
            return
        if reply.last:
            self.retire()
        if self.call is None:
            self._broken()
        elif reply.failure is not None:
            code, details = reply.failure.code, reply.failure.details
            # After one lack of memory the next call would meet it as well.
            if details.get("type") == "MemoryError":
                self.retire()
            self._finish(ToolFailure(code, reply.failure.message, details, code in RETRYABLE))
        else:
            self._finish(ToolResult(bytes(reply.output)))

    def _broken(self) -> None:
        """The process sent what is no answer, so nothing it says can be trusted."""
        if self.call is not None:
            self._verdict = crashed(self.call, "sent something that is no answer and was killed")
        self.kill()

    # -- the end ----------------------------------------------------------------------------------

    def retire(self) -> None:
        """Let the process end in order; kill it if it does not."""
        self._hang_up(KILL_GRACE)

    def _hang_up(self, grace: float = 0.1) -> None:
        self._close()
        if self.pid:
            self._loop.call_later(grace, self.kill)

    def _close(self) -> None:
        if not self.doomed:
            self.doomed = True
            self._loop.remove_reader(self._connection)
            self._loop.remove_writer(self._connection)
            self._connection.close()

    def kill(self) -> None:
        """Kill the process and its whole group, now. Harmless once it is buried."""
        self._close()
        if self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def bury(self, status: int | None) -> None:
        """Take note that the process is dead; None = nobody knows how. Its group dies with it.

        After this the number may be given to another process.
        """
        self._drain()
        self.kill()
        self.pid = 0
        if self._abandoned is not None:
            self._abandoned.over(self._abandoned)
        if self.call is None:
            self._cancel_timer()
        elif self._verdict is not None:
            self._finish(self._verdict)
        elif status is None:
            self._finish(crashed(self.call, "was killed because its parent process ended"))
        else:
            self._finish(crashed_with(self.call, status))

    def _drain(self) -> None:
        """Read what the process said before it died: that may be the answer."""
        while self.call is not None and not self.doomed and self._readable():
            pass
