"""The zygote as the server sees it: the process that workers are forked from, and its workers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from appliance.tools.calls import ending
from appliance.tools.worker import KILL_GRACE, Owner, Worker

PROGRAM = (
    f"import sys; sys.path[:] = [{str(Path(__file__).parent)!r}, *filter(None, sys.path)];"
    " from zygote.process import main; main()"
)
"""It names the package by its path: the interpreter may be one that does not have this program.
The working directory is left out: what lies there must not pass for a module of the library."""

IMPORT_LIMIT = 60.0
"""Seconds that importing the entrypoint may take."""

FORK_LIMIT = 30.0
"""Seconds that forking a worker may take; code of the user that runs at a fork can get stuck."""


class Orders(msgspec.Struct, frozen=True):
    """What a zygote is told when it starts: which file to import, or what the native tools may do.

    `program` is the command of a worker that is no fork of the zygote, as for JavaScript.
    """

    entrypoint: str | None
    memory_limit: int
    program: tuple[str, ...] = ()
    native: dict[str, Any] | None = None
    control: int = -1


class Keeper(Owner, Protocol):
    """Who is told what happens in a nursery."""

    def ready(self, nursery: Nursery) -> None:
        """The entrypoint is imported: workers can be forked."""
        ...

    def born(self, worker: Worker) -> None:
        """A worker that was asked for can run calls."""
        ...

    def stillborn(self, worker: Worker, reason: str) -> None:
        """A worker that was asked for could not be forked."""
        ...

    def dead(self, worker: Worker) -> None:
        """A worker is gone, and the outcome of its call is delivered."""
        ...

    def lost(self, nursery: Nursery, reason: str) -> None:
        """The zygote is gone, and so are its workers. *reason* is a clause without a full stop."""
        ...


class _Message(msgspec.Struct):
    ready: bool = False
    problem: str = ""
    forked: int = 0
    failed: str = ""
    died: int = 0
    status: int = 0


_decode = msgspec.json.Decoder(_Message).decode


class Nursery:
    """Starts a zygote and keeps its workers. It ends by itself when `close` was called.

    Raises OSError when the process cannot be started.
    """

    def __init__(
        self,
        python: str,
        orders: Orders,
        environment: Mapping[str, str],
        keeper: Keeper,
    ) -> None:
        self._task = (
            f"importing {orders.entrypoint}" if orders.entrypoint else "starting the native tools"
        )
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._unborn: deque[Worker] = deque()
        self._workers: dict[int, Worker] = {}
        self._reason = ""
        self._draining = False
        self._closing = False
        self.ready = False
        self.since = 0.0
        """When it got ready, by the clock of the event loop."""
        self.settled = self._loop.create_future()
        """Done when the entrypoint is imported, or never will be."""
        self.ended = self._loop.create_future()
        self._control, remote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with remote:
            orders = msgspec.structs.replace(orders, control=remote.fileno())
            command = [python, "-u", "-c", PROGRAM, msgspec.json.encode(orders).decode()]
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # what tools print goes to the log of the server
                    env=environment,
                    pass_fds=[remote.fileno()],
                    start_new_session=True,  # Ctrl-C is for the server, which decides what to stop
                )
            except OSError:
                self._control.close()
                raise
        self._control.setblocking(False)
        self._loop.add_reader(self._control, self._readable)
        what = f"{self._task} took more than {IMPORT_LIMIT:g} s"
        self._limit = self._loop.call_later(IMPORT_LIMIT, self._give_up, what)

    @property
    def pid(self) -> int:
        """The number of the zygote."""
        return self._process.pid

    @property
    def reason(self) -> str:
        """Why the zygote ended, or an empty string."""
        return self._reason

    @property
    def workers(self) -> list[Worker]:
        """Its workers that are not buried, the unborn ones included."""
        return [*self._workers.values(), *self._unborn]

    @property
    def expecting(self) -> bool:
        """Whether a worker was asked for that is not born yet."""
        return bool(self._unborn)

    def fork(self) -> Worker:
        """Ask for another worker; the keeper hears when it is born."""
        local, remote = socket.socketpair()
        with remote:
            worker = Worker(local, self._loop, self._keeper)
            self._unborn.append(worker)
            self._order(b'{"fork": true}', remote)
        self._watch_fork()
        return worker

    def _watch_fork(self) -> None:
        self._limit.cancel()
        if self._unborn:
            what = f"the process that starts tools took more than {FORK_LIMIT:g} s to start one"
            self._limit = self._loop.call_later(FORK_LIMIT, self._give_up, what)

    def _order(self, order: bytes, *attached: socket.socket) -> None:
        if self._closing:
            return  # it reads no orders any more, and reaps what is left by itself
        try:
            socket.send_fds(self._control, [order], [each.fileno() for each in attached])
        except OSError:
            # It is gone, or has not read for a long time: either way the end of file follows.
            self._process.kill()

    def _readable(self) -> None:
        while True:
            try:
                packet = self._control.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lost()
                return
            self._heed(_decode(packet))

    def _heed(self, message: _Message) -> None:
        if message.died:
            self._bury(message.died, message.status)
        elif message.forked:
            worker = self._workers[message.forked] = self._unborn.popleft()
            self._watch_fork()
            worker.born(message.forked)
            if not worker.doomed:
                self._keeper.born(worker)
        elif message.failed:
            worker = self._unborn.popleft()
            self._watch_fork()
            worker.bury(None)
            self._keeper.stillborn(worker, message.failed)
        elif message.ready:
            self.ready, self.since = True, self._loop.time()
            self._settle()
            self._keeper.ready(self)
        else:
            self._reason = message.problem

    def _bury(self, pid: int, status: int) -> None:
        worker = self._workers.pop(pid)
        worker.bury(status)
        self._order(b'{"reap": %d}' % pid)
        self._keeper.dead(worker)
        self._close_when_empty()

    def _settle(self) -> None:
        self._limit.cancel()
        if not self.settled.done():
            self.settled.set_result(None)

    def _give_up(self, reason: str) -> None:
        self._reason = reason
        self._process.kill()

    def _lost(self) -> None:
        """The zygote is gone. The kernel kills its workers; their groups are killed here."""
        self._loop.remove_reader(self._control)
        self._control.close()
        status = self._status()
        if not self._reason:
            what = "the process that starts tools" if self.ready else self._task
            self._reason = f"{what} {ending(status)}"
        self.ready = False
        self._settle()
        workers = self.workers
        self._workers.clear()
        self._unborn.clear()
        for worker in workers:
            worker.bury(None)
            self._keeper.dead(worker)
        self.ended.set_result(None)
        self._keeper.lost(self, self._reason)

    def _status(self) -> int:
        try:
            return self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def drain(self) -> None:
        """Let every worker end after the call it is running, and the zygote after the last."""
        self._draining = True
        for worker in self.workers:
            worker.leaving = True
            if worker.pid and worker.call is None:
                worker.retire()
        self._close_when_empty()

    def _close_when_empty(self) -> None:
        if self._draining and not self._workers and not self._unborn:
            self.close()

    def close(self) -> None:
        """Let the zygote end, and with it all that was forked from it. See `ended`."""
        self._closing = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    async def destroy(self) -> None:
        """Kill every process of the nursery and return when they are gone."""
        for worker in self.workers:
            worker.kill()
        self.close()
        done, _ = await asyncio.wait([self.ended], timeout=KILL_GRACE)
        if not done:
            os.killpg(self.pid, signal.SIGKILL)
            await self.ended
