"""Prefect: a server that records runs, and flows that run in a process of the user."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any

from benchmarks.peers.load import Load, closed_loop_of_threads
from benchmarks.peers.peer import free_port, wait_for
from benchmarks.peers.program import Library, flows_of, leave, serve, stay, step


class Prefect(Library):
    """Flows called from Python, recorded by a server on its own SQLite file."""

    name = "prefect"
    title = "Prefect"
    beside = "compozy-sqlite"
    promise = "states of runs are recorded; a run whose process was killed is not taken up again"
    environment = "prefect"
    slow = True

    def _where(self) -> str:
        return ""

    def start(self) -> None:
        """See `Peer.start`."""
        port = free_port()
        self.variables = {
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
        }
        command = [self._python.with_name("prefect"), "server", "start", "--port", str(port)]
        process = self._run(command, self.variables)
        wait_for(f"http://127.0.0.1:{port}/api/health", process)
        super().start()


def main(_: str) -> None:
    """Serve the harness."""
    from prefect import flow, task
    from prefect.exceptions import PrefectHTTPStatusError

    noop, rest, end = (task(function) for function in (step, stay, leave))

    plain = flows_of(noop, rest, end)
    flows = {name: flow(function) for name, function in plain.items()}

    def run(name: str) -> Any:
        """Run, and again while the server is too busy, as its SQLite soon is."""
        while True:
            with contextlib.suppress(PrefectHTTPStatusError):
                return flows[name](1)

    def load(name: str, in_flight: int, seconds: float) -> Load:
        return closed_loop_of_threads(lambda: run(name), in_flight, seconds)

    def begin(count: int, notes: str) -> None:
        for n in range(count):
            threading.Thread(target=flows["staying"], args=(n, notes)).start()

    serve("", load, begin)


if __name__ == "__main__":
    main(*sys.argv[1:])
