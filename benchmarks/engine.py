"""Durable runs per second, step latency and bytes written: the engine in one process, closed loop.

    make bench

Every run starts a real tool process call per step; every step is committed with full durability
before the next begins. Figures are told beside what the disk itself can do in the same minute, since
machines differ and are noisy: `x disk` is steps per second divided by raw `fdatasync` calls per
second of the same disk.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import uvloop

from appliance.config import DatabaseSettings, Settings
from appliance.language.loader import load_project
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from tests.postgres_server import PostgresServer

PROJECT = Path(__file__).parent / "project"


class Result(NamedTuple):
    """One row of the table."""

    runs_per_s: float
    p50_ms: float
    p99_ms: float
    bytes_per_step: float
    cpu_us_per_step: float


async def load(
    run: Callable[[], Awaitable[None]], *, in_flight: int, seconds: float
) -> tuple[list[float], float]:
    """Keep *in_flight* runs going; return the seconds that each took and that all took."""
    times: list[float] = []
    begin = time.perf_counter()
    end = begin + seconds

    async def one() -> None:
        while (start := time.perf_counter()) < end:
            await run()
            times.append(time.perf_counter() - start)

    await asyncio.gather(*(one() for _ in range(in_flight)))
    return times, time.perf_counter() - begin


async def measure(appliance: Appliance, workflow: str, in_flight: int, seconds: float) -> Result:
    """Run *workflow* in a closed loop and return what it did."""
    engine = appliance.engine
    program = engine.program(workflow)
    steps = len(program.nodes)

    async def run() -> None:
        exec_id = await engine.start(program, {"n": 1}, started_by=SYSTEM.user_id)
        await engine.wait(exec_id, 30)

    await load(run, in_flight=in_flight, seconds=min(1.0, seconds))
    written, cpu = written_bytes(), time.process_time()
    times, took = await load(run, in_flight=in_flight, seconds=seconds)
    done = len(times) * steps
    per_step, cpu_us = (written_bytes() - written) / done, (time.process_time() - cpu) / done * 1e6
    quantiles = statistics.quantiles(times, n=100)
    return Result(len(times) / took, quantiles[49] * 1000, quantiles[98] * 1000, per_step, cpu_us)


def written_bytes() -> int:
    """Return what this process has made the kernel write to disks."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def disk_flushes_per_s(directory: str, seconds: float = 1.0) -> float:
    """Return how often the disk takes 4 KiB and says that they are safe."""
    path = Path(directory) / "flush.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(descriptor, bytes(4096), 0)
    os.fsync(descriptor)
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        os.pwrite(descriptor, os.urandom(4096), 0)
        os.fdatasync(descriptor)
        count += 1
    rate = count / (time.perf_counter() - begin)
    os.close(descriptor)
    path.unlink()
    return rate


async def bench(settings: Settings, seconds: float, flushes: float) -> None:
    """Print the table of one database."""
    async with Appliance.open(settings, load_project(PROJECT, {})) as appliance:
        for workflow in ("one", "ten"):
            for in_flight in (1, 16, 64):
                result = await measure(appliance, workflow, in_flight, seconds)
                steps = len(appliance.engine.program(workflow).nodes)
                print(
                    f"{settings.database.driver:9} {workflow:4} {in_flight:9} "
                    f"{result.runs_per_s:9.0f} {result.runs_per_s * steps:9.0f} "
                    f"{result.runs_per_s * steps / flushes:7.2f} "
                    f"{result.p50_ms:8.2f} {result.p99_ms:8.2f} "
                    f"{result.p50_ms / steps:9.2f} {result.bytes_per_step / 1024:9.1f} "
                    f"{result.cpu_us_per_step:8.0f}",
                    flush=True,
                )


def main() -> None:
    """Print the machine and a row for each database, workflow and number of runs in flight."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compozy-bench-", dir=".") as directory:
        home = Path(directory).resolve()
        flushes = disk_flushes_per_s(directory)
        print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"disk: {flushes:.0f} fdatasync/s of 4 KiB")
        print(
            "database  flow in_flight    runs/s   steps/s  x disk   p50_ms   p99_ms "
            "ms/step  KiB/step  cpu_us"
        )
        server = PostgresServer(durable=True)
        try:
            for database in (
                DatabaseSettings(driver="sqlite", path=str(home / "data" / "app.db")),
                DatabaseSettings(driver="postgres", conninfo=server.conninfo()),
            ):
                settings = Settings(cwd=home, data_dir=home / "data", database=database)
                uvloop.run(bench(settings, options.seconds, flushes))
        finally:
            server.close()


if __name__ == "__main__":
    main()
