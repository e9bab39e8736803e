"""Start, memory, idle cost and size: compozy.pyz as a user runs it.

    make bench

Times are from the start of the process to the first 200 of `/health`, beside `python3 -c pass` in
the same round. Idle figures are taken over some seconds after the last request.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """A server process and what the kernel says of it."""

    def __init__(self, pyz: Path, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.home = home
        self._command = [str(pyz), "start", "--port", str(port)]
        # The path in front lets the file find the Python that it was built for.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = {"PATH": path, "SHIV_ROOT": str(home / "unpacked")}

    @contextmanager
    def running(self) -> Iterator[float]:
        """Start it and yield the seconds to the first 200; stop it at the end."""
        begin = time.perf_counter()
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.home, env=self._environment, stdout=log, stderr=log
            )
        try:
            self._wait(begin + 60)
            yield time.perf_counter() - begin
        finally:
            self._process.terminate()
            self._process.wait(30)

    def _wait(self, deadline: float) -> None:
        while time.perf_counter() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.005)
        raise SystemExit((self.home / "log").read_text())

    def run_hello(self) -> None:
        """Run the sample once, so that what is measured afterwards has worked."""
        key = (self.home / "data" / "admin.key").read_text().strip()
        request = urllib.request.Request(
            f"{self.url}/api/v0/workflows/hello/executions/sync",
            json.dumps({"input": {"name": "Ada"}}).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["data"]["output"] == {"greeting": "Hello, Ada!"}

    def rss_mib(self) -> float:
        """Return the resident memory of the server process."""
        return _status(self._process.pid, "VmRSS") / 1024

    def tools_mib(self) -> float:
        """Return the memory of the tool processes, shared pages counted once."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = [int(pid) for pid in children.read_text().split()]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return sum(_pss(pid) for pid in found) / 1024

    def idle(self, seconds: float) -> tuple[float, int]:
        """Return CPU milliseconds per second and bytes written while nothing happens."""
        time.sleep(3)
        before = self._used()
        time.sleep(seconds)
        after = self._used()
        return (after[0] - before[0]) / seconds * 1000, after[1] - before[1]

    def _used(self) -> tuple[float, int]:
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        io = Path(f"/proc/{self._process.pid}/io").read_text()
        written = int(io.partition("write_bytes: ")[2].split()[0])
        return (int(stat[11]) + int(stat[12])) / TICK, written


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0])


def _pss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().partition("Pss:")[2].split()[0])


def bare_python() -> float:
    """Return the seconds that Python alone takes to start and end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-IS", "-c", "pass"], check=True)
    return time.perf_counter() - begin


def _row(name: str, values: list[float], python: list[float]) -> str:
    ratio = statistics.median(values) / statistics.median(python)
    return (
        f"{name:24} {min(values):7.2f} s best {statistics.median(values):7.2f} s median"
        f" {ratio:7.1f} x python"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pyz", type=Path, nargs="?", default=Path("dist/compozy.pyz"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds")
    options = parser.parse_args()
    pyz = options.pyz.resolve()
    cold: list[float] = []
    warm: list[float] = []
    python: list[float] = []
    facts: dict[str, Any] = {}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="compozy-bench-") as directory:
            server = Server(pyz, Path(directory))
            python.append(bare_python())
            with server.running() as seconds:
                cold.append(seconds)
            shutil.rmtree(server.home / "data")
            with server.running() as seconds:
                warm.append(seconds)
                facts["idle RSS, fresh"] = f"{server.rss_mib():.1f} MiB"
                server.run_hello()
                facts["RSS after a run"] = f"{server.rss_mib():.1f} MiB"
                facts["tool processes"] = f"{server.tools_mib():.1f} MiB"
                if number == options.rounds - 1:
                    cpu, written = server.idle(options.idle)
                    facts["idle CPU"] = f"{cpu:.2f} ms/s"
                    facts["idle writes"] = f"{written} bytes in {options.idle:.0f} s"
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'size of the file':24} {pyz.stat().st_size / 1e6:7.1f} MB")
    print(_row("cold start", cold, python))
    print(_row("warm start", warm, python))
    for name, fact in facts.items():
        print(f"{name:24} {fact}")


if __name__ == "__main__":
    main()
