"""A zygote whose workers run another program: it starts that program anew for each of them.

The program gets, after its own arguments, the numbers of a pipe and of the worker's connection. It
says `ready` into the pipe when it can answer calls, or else, in a clause, what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
from collections import deque

from .process import Zygote, die_with_parent, tell

READY = b"ready"

RESERVED = 512 << 20
"""Bytes that engines of JavaScript take without using them: they come on top of the limit."""


class _Start:
    """A process that was started and has said nothing yet."""

    def __init__(self, pid: int, report: int) -> None:
        self.pid = pid
        self.report = report
        self.said: bytes | None = None


class Spawner(Zygote):
    """Starts *command* for each worker. Address space is not bounded, for engines reserve much."""

    def __init__(self, control: socket.socket, command: list[str], memory_limit: int) -> None:
        super().__init__(control)
        self._command = command
        self._memory_limit = memory_limit
        self._starts: deque[_Start] = deque()
        self._reports: dict[int, _Start] = {}

    def rehearse(self) -> str:
        """Start the program once without calls. Return what is wrong, or an empty text."""
        start = self._start(None)
        said = os.read(start.report, 4096)
        os.close(start.report)
        return self._verdict(start.pid, said)

    def _start(self, connection: int | None) -> _Start:
        report, other = os.pipe()
        try:
            pid = os.fork()
            if pid == 0:
                self._execute(other, connection)
        except OSError:
            os.close(report)
            raise
        finally:
            os.close(other)
        return _Start(pid, report)

    def _execute(self, report: int, connection: int | None) -> None:
        """Become the program; never return."""
        try:
            os.setpgid(0, 0)
            die_with_parent(signal.SIGKILL)
            if os.getppid() != self._pid:
                os._exit(1)
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)  # what Python ignores, others expect
            self._limit()
            inherited = [report] if connection is None else [report, connection]
            for descriptor in inherited:
                os.set_inheritable(descriptor, True)
            numbers = [str(report), "-1" if connection is None else str(connection)]
            os.execv(self._command[0], [*self._command, *numbers])  # noqa: S606 - the command is ours
        except OSError as error:
            os.write(report, f"{self._command[0]} cannot be started: {error.strerror}".encode())
        finally:
            os._exit(1)

    def _limit(self) -> None:
        if self._memory_limit:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            size = self._memory_limit + RESERVED
            size = size if hard == resource.RLIM_INFINITY else min(size, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (size, hard))

    # -- workers ----------------------------------------------------------------------------------

    def _fork(self, descriptor: int) -> None:
        try:
            start = self._start(descriptor)
        except OSError as error:
            tell(self._control, failed=f"no process could be started: {error.strerror}")
        else:
            self._starts.append(start)
            self._reports[start.report] = start
            self._poll.register(start.report, select.POLLIN)
        finally:
            os.close(descriptor)

    def _heed(self, descriptor: int) -> socket.socket | None:
        start = self._reports.pop(descriptor, None)
        if start is None:
            return super()._heed(descriptor)
        start.said = os.read(descriptor, 4096)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        # The server expects the answers in the order in which it asked.
        while self._starts and self._starts[0].said is not None:
            self._admit(self._starts.popleft())
        return None

    def _admit(self, start: _Start) -> None:
        if start.said == READY:
            self._alive.add(start.pid)
            tell(self._control, forked=start.pid)
            self._report_deaths()  # it may have died since
        else:
            tell(self._control, failed=self._verdict(start.pid, start.said or b""))

    def _verdict(self, pid: int, said: bytes) -> str:
        """End a process that has no calls; say in a clause what was wrong with it."""
        if said:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if said == READY:
            return ""
        code = os.waitstatus_to_exitcode(status)
        how = f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
        return said.decode("utf-8", "replace") or f"{self._command[-1]} {how} while it was imported"

    def _end_all(self) -> None:
        self._alive.update(start.pid for start in self._starts)
        super()._end_all()
