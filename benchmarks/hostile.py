"""Hostile input: whether the server answers `/health` within 50 ms all the while, in 300 MiB.

    make bench

A process of its own asks for `/health` every 25 ms, over one connection, while each thing goes on;
the line `idle` is the same without it, for machines are noisy. `noise` is how late the probe itself
was woken. RSS is that of the server process, PSS that of it and its children together.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import urlsplit

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server
from tests.security.hostile import THINGS, Enemy, write_project
from tests.security.storm import scheduled, stored, storm

EVERY = 0.025
MOST_MS, MOST_MIB = 50.0, 300.0


class Probe:
    """What a process outside saw of a server: latencies in ms, and memory in MiB."""

    def __init__(self, url: str, pid: int) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_watch, args=(url, pid, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.latencies: list[float] = []
        self.noise: list[float] = []
        self.rss = self.pss = 0.0

    def __enter__(self) -> Self:
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.send(None)
        self.latencies, self.noise, self.rss, self.pss = self._ours.recv()
        self._process.join()

    @property
    def verdict(self) -> str:
        """Say what kept the promise or broke it. One slow answer in a hundred may be noise."""
        slow = statistics.quantiles(self.latencies, n=100, method="inclusive")[98] > MOST_MS
        broken = ["too slow"] * slow + ["too large"] * (self.rss > MOST_MIB)
        return " and ".join(broken) or ("ok" if max(self.latencies) <= MOST_MS else "ok but max")

    def row(self, name: str, said: str) -> str:
        """Return a line of the table."""
        cuts = statistics.quantiles(self.latencies, n=100, method="inclusive")
        return (
            f"{name:38} {cuts[49]:6.1f} {cuts[98]:6.1f} {max(self.latencies):6.1f} "
            f"{max(self.noise):6.1f} {self.rss:6.0f} {self.pss:6.0f}  {self.verdict:11} {said[:70]}"
        )


def _watch(url: str, pid: int, line: Connection) -> None:
    at = urlsplit(url)
    asked = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    latencies, noise = [], []
    rss = pss = 0.0
    with socket.create_connection((at.hostname or "", at.port or 0)) as server:
        answers = server.makefile("rb")
        line.send(None)
        while not line.poll():
            begin = time.perf_counter()
            server.sendall(asked)
            if not _read(answers):
                break
            latencies.append((time.perf_counter() - begin) * 1000)
            if len(latencies) % 8 == 1:
                rss, pss = max(rss, rss_mib(pid)), max(pss, pss_mib(pid))
            begin = time.perf_counter()
            time.sleep(EVERY)
            noise.append((time.perf_counter() - begin - EVERY) * 1000)
    line.send((latencies, noise, rss, pss))


def _read(answers: BinaryIO) -> bool:
    """Read a whole answer. False when there is none, or no good one."""
    good, length = answers.readline().startswith(b"HTTP/1.1 200"), 0
    while (field := answers.readline().strip().lower()) != b"":
        if field.startswith(b"content-length:"):
            length = int(field[15:])
    return good and len(answers.read(length)) == length


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def pss_mib(pid: int) -> float:
    """Return the memory of a process and its children, shared pages counted once."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    own = int(rollup.partition("Pss:")[2].split()[0]) / 1024
    return own + sum(pss_mib(int(child)) for child in children)


@contextmanager
def serving(project: Callable[[Path], Path], **environment: str) -> Iterator[tuple[Server, int]]:
    """Serve a project from a fresh directory."""
    with tempfile.TemporaryDirectory(prefix="compozy-bench-", dir=".") as directory:
        home = Path(directory).resolve()
        database = DatabaseSettings(path=str(home / "app.db"))
        server = Server(home, database, project(home), **environment)
        with server.running() as process:
            yield server, process.pid


# -- one thing again and again ---------------------------------------------------------------------


def things(seconds: float) -> None:
    """Send each thing again and again for a while, each to a server of its own."""
    for name in ("idle", *THINGS):
        with serving(write_project) as (server, pid), Probe(server.url, pid) as probe:
            said = _repeat(name, Enemy(server.url, server.admin_key), seconds)
        print(probe.row(name, said), flush=True)


def _repeat(name: str, enemy: Enemy, seconds: float) -> str:
    end, said, count = time.monotonic() + seconds, "", 0
    while time.monotonic() < end:
        if name == "idle":
            time.sleep(seconds)
        else:
            status, text = THINGS[name][0](enemy)
            count, said = count + 1, f"{status} {text}"
    return f"{count} x {said}" if count else ""


# -- a storm of deliveries -------------------------------------------------------------------------


def storms(rate: int, seconds: float) -> None:
    """Let a storm come, with the rate limit as it is and without one."""
    for name, limit in (("storm, default limits", "6000"), ("storm, no rate limit", "0")):
        with (
            serving(write_project, RATELIMIT_GLOBAL_LIMIT=limit) as (server, pid),
            Probe(server.url, pid) as probe,
        ):
            done = storm(server.url, rate, seconds)
            begun = stored(server)
        told = ", ".join(f"{count} x {status}" for status, count in sorted(done.answers.items()))
        said = f"{told} in {done.seconds:.1f} s, sent in {done.sent_s:.1f} s; {begun} runs"
        lost = " LOST" * (begun != done.answers[202])
        print(probe.row(name, "") + said + lost, flush=True)


# -- ten thousand at the same second ---------------------------------------------------------------


def schedules(count: int) -> None:
    """Watch the server from before a full minute until all that is due then was begun."""
    with serving(lambda home: scheduled(home, count)) as (server, pid):
        left = 60 - time.time() % 60
        time.sleep(max(left - 3, 0))
        already = stored(server)
        with Probe(server.url, pid) as probe:
            time.sleep(60.2 - (time.time() % 60) if left > 3 else 0)
            begin = time.monotonic()
            while stored(server) - already < count and time.monotonic() - begin < 50:
                time.sleep(0.2)
            took = time.monotonic() - begin
            begun = stored(server) - already
        said = f"{begun} runs in {took:.1f} s"
        print(probe.row(f"{count} schedules at once", said), flush=True)


def main() -> None:
    """Print a line for each thing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each thing")
    parser.add_argument("--rate", type=int, default=1000, help="deliveries per second")
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--only", choices=["things", "storms", "schedules"])
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'thing':38}    p50    p99    max  noise    RSS    PSS  verdict     the server said")
    if options.only in (None, "things"):
        things(options.seconds)
    if options.only in (None, "storms"):
        storms(options.rate, 10.0)
    if options.only in (None, "schedules"):
        schedules(options.schedules)


if __name__ == "__main__":
    main()
