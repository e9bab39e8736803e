"""A23: half an hour of load with a fault every ten seconds that a server has to live through.

Faults that end the process are those of the other scenarios: here one process has to stay as it is.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from appliance.config import DatabaseSettings

from .filesystem import fill, in_memory
from .history import History, Outcome
from .load import NOTE, RUN, USER, Load
from .machine import needs
from .oracle import judge, judge_file
from .serving import Server
from .verdict import Verdict

SECONDS = float(os.environ.get("RELIABILITY_SOAK", "1800"))
EVERY_S, SAMPLE_S = 10.0, 5.0
WARM_UP = 1 / 3
"""The part of the time after which memory may not grow any more."""
MOST_MIB_PER_HOUR, MOST_WAL_BYTES, MOST_NEW_FILES = 1.0, 64 << 20, 8
CROWD, CROWD_S = 16, 60.0
"""Clients at once, for a while, so that the server has met batches of every size when it is looked at."""
KINDS = {RUN: 4, NOTE: 8, USER: 1}
"""No definitions, and no run that could wait for ever: a server rightly keeps these in memory."""


class Sample(NamedTuple):
    """What a process holds: memory in MiB, open files, and bytes of the write-ahead log."""

    at: float
    mib: float
    files: int
    wal: int


def sample(pid: int, database: Path) -> Sample:
    """Look at a process from outside."""
    status = Path(f"/proc/{pid}/status").read_text()
    mib = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    wal = database.with_name(f"{database.name}-wal").stat().st_size
    return Sample(time.monotonic(), mib, len(list(Path(f"/proc/{pid}/fd").iterdir())), wal)


def growth(samples: list[Sample], part_s: float = 300.0) -> float:
    """Return by how many MiB memory grows in an hour, from the least of each part of the time.

    A backup takes a MiB or two and gives it back, so a shorter part tells when there were backups.
    """
    least: dict[int, float] = {}
    for found in samples:
        part = int((found.at - samples[0].at) / part_s)
        least[part] = min(least.get(part, found.mib), found.mib)
    slope, _ = statistics.linear_regression(list(least), list(least.values()))
    return slope * 3600 / part_s


class Trouble:
    """The faults: each takes a few seconds at most and leaves the machine as it was."""

    def __init__(self, server: Server, pid: int, dice: random.Random) -> None:
        self._server, self._pid, self._dice = server, pid, dice
        self.faults = (self.stop, self.kill_tools, self.fill_disk, self.hang_up, self.back_up)
        self.done = 0

    def make(self) -> None:
        """Inject one fault."""
        self._dice.choice(self.faults)()
        self.done += 1

    def stop(self) -> None:
        """Stop the process for a while."""
        os.kill(self._pid, signal.SIGSTOP)
        time.sleep(self._dice.uniform(0.5, 3))
        os.kill(self._pid, signal.SIGCONT)

    def kill_tools(self) -> None:
        """Kill a process of the tools; the one that the others come from, or one of these."""
        found = list(_below(self._pid))
        os.kill(self._dice.choice(found), signal.SIGKILL)

    def fill_disk(self) -> None:
        """Leave no room on the disk for a while."""
        foreign = fill(self._server.home / "data")
        time.sleep(self._dice.uniform(0.5, 2))
        foreign.unlink()

    def hang_up(self) -> None:
        """Begin many requests and leave in the middle of them."""
        at = urlsplit(self._server.url)
        for _ in range(100):
            with socket.create_connection((at.hostname, at.port or 0), timeout=5) as line:
                line.send(b"POST /api/v0/workflows/twelve/executions HTTP/1.1\r\nhost: x\r\nconte")

    def back_up(self) -> None:
        """Take a backup, look whether it is sound, and remove it."""
        name = self._server.call("POST", "/backups")["name"]
        self._server.call("POST", f"/backups/{name}/verify")
        self._server.call("DELETE", f"/backups/{name}")


def _below(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from _below(int(child))


@contextmanager
def watched(pid: int, database: Path, log: Path) -> Iterator[list[Sample]]:
    """Look at a process again and again while the block lasts; what is seen is also in *log*."""
    samples = [sample(pid, database)]
    stop = threading.Event()

    def watch() -> None:
        with log.open("w") as file:
            while not stop.wait(SAMPLE_S):
                samples.append(sample(pid, database))
                print(*samples[-1], file=file, flush=True)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield samples
    finally:
        stop.set()
        watcher.join()


def soaked(server: Server, database: Path, seed: str, verdict: Verdict) -> list[Sample]:
    """Ask and make trouble for a while; return what the process held after the warm-up."""
    history = History(server.home / "history")
    begin = time.monotonic()
    with server.running() as process:
        trouble = Trouble(server, process.pid, random.Random(seed))
        with Load(server, history, f"{seed}-crowd", CROWD, weights=KINDS):
            time.sleep(min(CROWD_S, SECONDS * WARM_UP / 2))
        with (
            watched(process.pid, database, server.home / "samples") as samples,
            Load(server, history, seed, 2, weights=KINDS, rest_s=0.1),
        ):
            while time.monotonic() - begin < SECONDS:
                time.sleep(EVERY_S)
                assert process.poll() is None, server.log
                trouble.make()
        verdict.faults = trouble.done
        verdict.add(judge(server, history, trouble.done))
        process.terminate()
        assert 0 == process.wait(30)
    verdict.add(judge_file(database))
    verdict.acknowledged = history.count(Outcome.OK)
    return [found for found in samples if found.at - begin > SECONDS * WARM_UP]


@pytest.mark.soak
def test_a_server_stays_as_it_is(
    tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Memory, open files and the log are after half an hour what they were after ten minutes."""
    needs("tmpfs")
    verdict = Verdict("A23 soak")
    with in_memory(tmp_path / "data", "2g") as place:
        database = place / "app.db"
        settings = DatabaseSettings(path=str(database))
        server = Server(  # the oracle asks for everything at once
            tmp_path, settings, RATELIMIT_GLOBAL_LIMIT="0", RATELIMIT_API_KEY_LIMIT="0"
        )
        server.timeout_s = 60.0  # a backup of much takes its time beside other work
        samples = soaked(server, database, seed, verdict)
    first, last = samples[0], samples[-1]
    files = [found.files for found in samples]
    print(
        f"{verdict.faults} faults, {verdict.acknowledged} writes; memory {first.mib:.1f} to "
        f"{last.mib:.1f} MiB, {growth(samples):+.2f} MiB/h; files {min(files)} to {max(files)}; "
        f"log {max(found.wal for found in samples) / 2**20:.1f} MiB at most"
    )
    assert growth(samples) < MOST_MIB_PER_HOUR
    assert statistics.median(files[-12:]) <= statistics.median(files[:12]) + MOST_NEW_FILES
    assert max(found.wal for found in samples) < MOST_WAL_BYTES
    conclude(verdict)


@pytest.mark.reliability
def test_a_server_that_keeps_what_it_hears_is_caught(tmp_path: Path, seed: str) -> None:
    """The look from outside finds memory that only grows."""
    database = tmp_path / "app.db"
    server = Server(tmp_path, DatabaseSettings(path=str(database)), sabotage="keep_everything")
    history = History(tmp_path / "history")
    with (
        server.running() as process,
        watched(process.pid, database, server.home / "samples") as samples,
        Load(server, history, seed, 2, weights=KINDS, rest_s=0.1),
    ):
        time.sleep(40)
    assert growth(samples[len(samples) // 3 :], SAMPLE_S) > MOST_MIB_PER_HOUR * 10
