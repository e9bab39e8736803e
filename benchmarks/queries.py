"""How long reads and writes take with a thousand runs of ten tasks with 2 KB each in the database.

    make pyz && RELIABILITY_PROGRAM=dist/compozy.pyz PYTHONPATH=. python benchmarks/queries.py

Over HTTP with a key, one request after the other, beside nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from appliance.config import DatabaseSettings
from tests.postgres_server import PostgresServer
from tests.reliability.serving import Server

PROJECT = Path(__file__).parent / "project"
PAYLOAD = "x" * 2000


def fill(server: Server, runs: int) -> list[str]:
    """Carry out runs of ten tasks and return their ids."""
    path, body = "/workflows/ten/executions/sync", {"input": {"n": PAYLOAD}}
    with ThreadPoolExecutor(8) as clients:
        done = clients.map(lambda _: server.call("POST", path, body), range(runs))
        return [str(run["exec_id"]) for run in done]


def p99(act: Callable[[int], Any], count: int) -> tuple[float, float]:
    """Do something *count* times; return median and 99th percentile of the milliseconds it took."""
    times = []
    for number in range(count):
        began = time.perf_counter()
        act(number)
        times.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return cuts[49], cuts[98]


def measure(name: str, server: Server, runs: int, count: int) -> None:
    """Print a line for each kind of request."""
    with server.running():
        ids = fill(server, runs)
        some = [ids[number * 7 % len(ids)] for number in range(count)]
        acts: dict[str, Callable[[int], Any]] = {
            "history, 50 runs": lambda _: server.call("GET", "/executions/workflows?limit=50"),
            "a run with its tasks": lambda number: server.call(
                "GET", f"/executions/workflows/{some[number]}"
            ),
            "begin a run": lambda _: server.call(
                "POST", "/workflows/one/executions", {"input": {"n": PAYLOAD}}
            ),
        }
        for what, act in acts.items():
            middle, worst = p99(act, count)
            print(f"{name:9} {what:22} p50 {middle:6.1f} ms  p99 {worst:6.1f} ms", flush=True)
    file = server.home / "data" / "app.db"
    if file.exists():
        print(f"{name:9} the file has {file.stat().st_size / 1e6:.0f} MB")


def main() -> None:
    """Print the machine and the figures of both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--count", type=int, default=500)
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="compozy-bench-", dir=".") as directory:
        home = Path(directory).resolve()
        (home / "postgres").mkdir()
        sqlite = DatabaseSettings(path=str(home / "data" / "app.db"))
        measure("sqlite", Server(home, sqlite, PROJECT), options.runs, options.count)
        postgres = PostgresServer(durable=True)
        try:
            database = DatabaseSettings(driver="postgres", conninfo=postgres.conninfo())
            server = Server(home / "postgres", database, PROJECT)
            measure("postgres", server, options.runs, options.count)
        finally:
            postgres.close()


if __name__ == "__main__":
    main()
