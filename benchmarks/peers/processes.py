"""Processes with all that they have started: what they cost, and their end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_LIMIT_S = 20.0

Command = Sequence[object]  # words and paths


class Usage(NamedTuple):
    """What processes have used since they began; memory is what they hold now."""

    cpu_ms: float
    written: float  # bytes that the kernel had to write to disks for them
    passed: float  # bytes that they passed to the kernel in calls of `write`
    rss_mib: float  # shared pages counted in every process
    pss_mib: float  # shared pages divided among those that share them


class Processes:
    """Those of one peer."""

    def __init__(self) -> None:
        self._roots: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Command, home: Path, environment: Mapping[str, str], *, talks: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start *command* in *home*, where `log` takes what it prints; *talks* leaves pipes to it."""
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=home,
                env=environment,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else log,
                stderr=log,
            )
        self._roots.append(process)
        return process

    def pids(self) -> list[int]:
        """Return every process that runs now."""
        return tree(process.pid for process in self._roots)

    def kill(self) -> None:
        """Kill -9 them all at once."""
        with _held(self.pids()) as descriptors:
            _end(descriptors)
        self._forget()

    def stop(self) -> None:
        """Ask those that were started to end; whatever is left after a while is killed."""
        with _held(self.pids()) as descriptors:
            for process in self._roots:
                process.terminate()
            _wait(descriptors, STOP_LIMIT_S)
            _end(descriptors)
        self._forget()

    def _forget(self) -> None:
        for process in self._roots:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self._roots.clear()


def tree(roots: Iterable[int]) -> list[int]:
    """Return *roots* and all that descends from them."""
    found = list(roots)
    for pid in found:  # grows meanwhile
        with contextlib.suppress(OSError):  # it may end at any moment
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def usage(pids: Iterable[int]) -> Usage:
    """Return what *pids* have used together; one that ends meanwhile counts as nothing."""
    total = [0.0] * len(Usage._fields)
    for pid in pids:
        with contextlib.suppress(OSError):
            total = [a + b for a, b in zip(total, _usage(Path(f"/proc/{pid}")), strict=True)]
    return Usage(*total)


def _usage(process: Path) -> Usage:
    stat = (process / "stat").read_text().rpartition(")")[2].split()
    return Usage(
        cpu_ms=(int(stat[11]) + int(stat[12])) * 1000 / TICKS_PER_S,
        written=_field(process / "io", "write_bytes"),
        passed=_field(process / "io", "wchar"),
        rss_mib=_field(process / "smaps_rollup", "Rss") / 1024,
        pss_mib=_field(process / "smaps_rollup", "Pss") / 1024,
    )


def _field(file: Path, name: str) -> int:
    return int(file.read_text().partition(f"{name}:")[2].split()[0])


@contextlib.contextmanager
def _held(pids: Iterable[int]) -> Iterator[list[int]]:
    """Hold descriptors of *pids*, so that a number that is used again is not taken for one."""
    with contextlib.ExitStack() as stack:
        descriptors = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptors.append(os.pidfd_open(pid))
                stack.callback(os.close, descriptors[-1])
        yield descriptors


def _end(descriptors: Iterable[int]) -> None:
    remaining = list(descriptors)
    for descriptor in remaining:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    _wait(remaining, STOP_LIMIT_S)


def _wait(descriptors: Iterable[int], limit_s: float) -> None:
    """Wait until the processes have ended; a descriptor can be read when its process has."""
    poll, waiting = select.poll(), set(descriptors)
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + limit_s
    while waiting and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            poll.unregister(descriptor)
            waiting.discard(descriptor)
