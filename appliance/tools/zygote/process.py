"""The process itself: it imports the entrypoint, then forks workers until the server is gone."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from .functions import Toolbox, load
from .refusal import sentence_of, user_frames
from .serving import serve

PR_SET_PDEATHSIG = 1


class Zygote:
    """Forks workers when the server asks, reports their end, and reaps them when told."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._alive: set[int] = set()
        self._dead: set[int] = set()
        self._pid = os.getpid()
        self._wake, self._woken_by = os.pipe()
        for end in (self._wake, self._woken_by):
            os.set_blocking(end, False)
        self._former = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken_by, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._poll.register(control, select.POLLIN)

    def run(self) -> socket.socket | None:
        """Obey until the server is gone. Like fork, this returns in each worker as well.

        Returns the worker's connection, or None in the zygote when everything it forked is gone.
        """
        try:
            tell(self._control, ready=True)
            while True:
                for descriptor, _ in self._poll.poll():
                    connection = self._heed(descriptor)
                    if connection is not None:
                        return connection
        except ConnectionError:
            self._end_all()
            return None

    def _heed(self, descriptor: int) -> socket.socket | None:
        if descriptor == self._control.fileno():
            return self._obey()
        self._report_deaths()
        return None

    def _end_all(self) -> None:
        for pid in self._alive | self._dead:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        for pid in self._alive | self._dead:
            os.waitpid(pid, 0)

    def _obey(self) -> socket.socket | None:
        packet, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        if not packet:
            raise ConnectionResetError
        order = json.loads(packet)
        if "reap" not in order:
            return self._fork(descriptors[0])
        self._dead.discard(order["reap"])
        os.waitpid(order["reap"], 0)
        return None

    def _fork(self, descriptor: int) -> socket.socket | None:
        try:
            pid = os.fork()
        except OSError as error:
            tell(self._control, failed=f"no process could be started: {error.strerror}")
        else:
            if pid == 0:
                return self._become_worker(descriptor)
            with contextlib.suppress(OSError):  # the worker does it as well: who is first wins
                os.setpgid(pid, pid)
            self._alive.add(pid)
            tell(self._control, forked=pid)
        os.close(descriptor)
        return None

    def _become_worker(self, descriptor: int) -> socket.socket:
        os.setpgid(0, 0)
        die_with_parent(signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._former or signal.SIG_DFL)
        self._control.close()
        os.close(self._wake)
        os.close(self._woken_by)
        return socket.socket(fileno=descriptor)

    def _report_deaths(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        for pid in list(self._alive):
            end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is not None:
                self._alive.discard(pid)
                self._dead.add(pid)
                exited = end.si_code == os.CLD_EXITED
                tell(self._control, died=pid, status=end.si_status if exited else -end.si_status)


def tell(control: socket.socket, **message: Any) -> None:
    """Send the server one packet."""
    control.send(json.dumps(message).encode())


def die_with_parent(number: int) -> None:
    """Let the kernel send this process the signal *number* when its parent ends; 0 = no more."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def limit_memory(size: int) -> None:
    """Bound the address space of this process and all that it forks, the imports included."""
    if size:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def problem_of(error: BaseException, entrypoint: str) -> str:
    """Say in a clause why the entrypoint could not be imported, and where."""
    frames = user_frames(error)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{entrypoint} cannot be imported: {sentence_of(error)}{where}"


def spawn(control: socket.socket, command: list[str], memory_limit: int) -> NoReturn:
    """Start *command* as often as the server asks for a worker, until the server is gone."""
    from .spawning import Spawner

    spawner = Spawner(control, command, memory_limit)
    problem = spawner.rehearse()
    if problem:
        tell(control, problem=problem)
        os._exit(1)
    die_with_parent(0)
    spawner.run()
    os._exit(0)


def main() -> None:
    """Import what is to be called, then fork workers until the server is gone."""
    orders = json.loads(sys.argv[1])
    control = socket.socket(fileno=orders["control"])
    control.set_inheritable(False)
    # Only while importing: afterwards the end of file tells, and the workers' groups are killed.
    die_with_parent(signal.SIGKILL)
    faulthandler.enable()
    if orders.get("program"):
        spawn(control, orders["program"], orders["memory_limit"])
    try:
        limit_memory(orders["memory_limit"])
        toolbox = toolbox_of(orders)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the server wants to know
        tell(control, problem=problem_of(error, orders["entrypoint"] or "the native tools"))
        os._exit(1)
    die_with_parent(0)
    gc.collect()
    gc.freeze()
    connection = Zygote(control).run()
    if connection is None:
        os._exit(0)
    with contextlib.suppress(ConnectionError):
        serve(connection, toolbox)
    if toolbox.spent:
        os.killpg(0, signal.SIGKILL)  # what was started here ends here


def toolbox_of(orders: dict[str, Any]) -> Toolbox:
    """Return the native tools, or the functions of the entrypoint. Raises what importing raises."""
    if orders["native"]:
        from .native.tools import native_tools

        return native_tools(orders["native"])
    functions = load(Path(orders["entrypoint"]))
    if functions.need_asyncio():
        import asyncio  # noqa: F401
    return functions
