"""Several servers on one PostgreSQL: speed of one, two and three, and how soon they hear of each other.

    make pyz && RELIABILITY_PROGRAM=dist/compozy.pyz PYTHONPATH=. python benchmarks/nodes.py

All servers, the database and the clients share one machine, so that speeds are told as ratios to
one server in the same round. What a run waits for is read from its history, which goes by one clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from operator import truediv
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from appliance import clock
from appliance.config import DatabaseSettings
from tests.postgres_server import PostgresServer
from tests.reliability.line import Line
from tests.reliability.serving import Server

PROJECT = Path(__file__).parent / "project"
STEPS = 10
MOST = 3


class Latency(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float


class Fleet:
    """Servers on a database of their own."""

    def __init__(self, home: Path, database: DatabaseSettings, **environment: str) -> None:
        self.home = home
        self.database = database
        self._environment = environment

    @contextmanager
    def running(self, count: int, **first: str) -> Iterator[list[Server]]:
        """Start *count* servers; the first one is told *first* beside what all are told."""
        with ExitStack() as stack:
            servers: list[Server] = []
            for number in range(count):
                home = Path(tempfile.mkdtemp(dir=self.home))
                told = {**self._environment, **(first if not number else {})}
                server = Server(home, self.database, PROJECT, NODE_NAME=f"node{number + 1}", **told)
                server.keys = servers[0].home if servers else home
                server.timeout_s = 60
                stack.enter_context(server.running())
                servers.append(server)
            yield servers

    def ask(self, query: str) -> int:
        """Return the number that a query finds."""
        with psycopg.connect(self.database.conninfo) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def fleet(postgres: PostgresServer, home: Path, **environment: str) -> Iterator[Fleet]:
    """Give an empty database and the servers on it."""
    with postgres.database("template0") as conninfo:
        yield Fleet(home, DatabaseSettings(driver="postgres", conninfo=conninfo), **environment)


def begin(server: Server, workflow: str, run_input: Any) -> str:
    """Begin a run and return its id."""
    path = f"/workflows/{workflow}/executions"
    return str(server.call("POST", path, {"input": run_input})["exec_id"])


def wait(server: Server, exec_id: str, status: str = "SUCCESS") -> dict[str, Any]:
    """Return a run as soon as it is in a state."""
    while True:
        run: dict[str, Any] = server.call("GET", f"/executions/workflows/{exec_id}")
        if run["status"] == status:
            return run
        time.sleep(0.005)


def steps_per_s(found: Fleet, count: int, runs: int) -> float:
    """Begin *runs* runs of ten steps at *count* servers in turn; return steps per second until all ended."""
    with found.running(count) as servers, ThreadPoolExecutor(4) as clients:
        for server in servers:
            wait(server, begin(server, "ten", {"n": 1}))
        before = time.perf_counter()
        named = [servers[number % count] for number in range(runs)]
        list(clients.map(lambda server: begin(server, "ten", {"n": 1}), named))
        open_ = "SELECT count(*) FROM workflow_states WHERE status IN ('PENDING', 'RUNNING')"
        while found.ask(open_):
            time.sleep(0.02)
        return runs * STEPS / (time.perf_counter() - before)


def cost_of_a_step(postgres: PostgresServer, home: Path, runs: int) -> tuple[float, float]:
    """Return round trips and commits for each step of one run after the other, those of the server alone."""
    with fleet(postgres, home) as found, Line(postgres.socket) as line:
        commits = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        through = Fleet(home, line.through(found.database))
        with through.running(1) as (server,):
            path = "/workflows/ten/executions/sync"
            server.call("POST", path, {"input": {"n": 1}})
            trips, committed = line.trips, found.ask(commits)
            for _ in range(runs):
                server.call("POST", path, {"input": {"n": 1}})
            steps = runs * STEPS
            return (line.trips - trips) / steps, (found.ask(commits) - committed) / steps


def timed(act: Callable[[], object]) -> float:
    """Return how many milliseconds something takes."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def latency(values: list[float]) -> Latency:
    """Return median and 99th percentile."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return Latency(cuts[49], cuts[98])


def signals(postgres: PostgresServer, home: Path, count: int) -> dict[str, Latency]:
    """Return how long a signal takes, at the server that holds the run and at another one."""
    with fleet(postgres, home) as found, found.running(2) as servers:
        waiting = [begin(servers[0], "wait", {}) for _ in range(2 * count)]
        for exec_id in waiting:
            wait(servers[1], exec_id, "WAITING")
        body = {"signal_name": "go", "payload": {}}

        def send(server: Server, exec_id: str) -> float:
            path = f"/executions/workflows/{exec_id}/signals"
            return timed(lambda: server.call("POST", path, body))

        here = [send(servers[0], exec_id) for exec_id in waiting[:count]]
        there = [send(servers[1], exec_id) for exec_id in waiting[count:]]
        return {"a signal at the holder": latency(here), "at another server": latency(there)}


def claims(postgres: PostgresServer, home: Path, count: int) -> Latency:
    """Return how long a run stands in line whose server has no room, until another one takes it."""
    size = "WORKER_MAX_CONCURRENT_WORKFLOWS"
    with fleet(postgres, home) as found, found.running(2, **{size: "1"}) as servers:
        holder = begin(servers[0], "hold", {})
        wait(servers[0], holder, "RUNNING")
        runs = []
        for _ in range(count):
            exec_id = begin(servers[0], "one", {"n": 1})
            runs.append(wait(servers[1], exec_id))
        servers[0].call("POST", f"/executions/workflows/{holder}/cancel")
        return latency([stood_in_line(run) for run in runs])


def stood_in_line(run: dict[str, Any]) -> float:
    """Return the milliseconds from the beginning of a run until a server began to work on it."""
    begun = next(moment for moment in run["history"] if moment["status"] == "RUNNING")
    waited = clock.from_rfc3339(begun["at"]) - clock.from_rfc3339(run["created_at"])
    return waited / 1000


def main() -> None:
    """Print the machine and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=600)
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="compozy-bench-", dir=".") as directory:
        home = Path(directory).resolve()
        postgres = PostgresServer(durable=True)
        try:
            report(postgres, home, options.rounds, options.runs)
        finally:
            postgres.close()


def report(postgres: PostgresServer, home: Path, rounds: int, runs: int) -> None:
    """Measure everything and print it."""
    speeds: dict[int, list[float]] = {count: [] for count in range(1, MOST + 1)}
    for _ in range(rounds):
        for count, measured in speeds.items():
            with fleet(postgres, home) as found:
                measured.append(steps_per_s(found, count, runs))
    for count, measured in speeds.items():
        ratio = statistics.median(map(truediv, measured, speeds[1]))
        print(f"{count} servers: {statistics.median(measured):.0f} steps/s, {ratio:.2f} x one")
    trips, commits = cost_of_a_step(postgres, home, 50)
    print(f"a step: {trips:.2f} round trips, {commits:.2f} commits")
    for what, (p50, p99) in signals(postgres, home, 200).items():
        print(f"{what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    p50, p99 = claims(postgres, home, 200)
    print(f"a run that another server takes from the line: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


if __name__ == "__main__":
    main()
