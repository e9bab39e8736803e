"""What every peer can do, whatever it is: be installed, started, loaded, killed and stopped.

Each does the same work. A step is a function that returns the small number it was given. There are
three flows: `one` is one step, `ten` is ten steps in a row, `stay` is the one for kills: a step that
notes `begin N` in a file and takes three seconds, and after it a step that notes `end N`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.load import Load
from benchmarks.peers.processes import Command, Processes, Usage, tree, usage

if TYPE_CHECKING:
    from tests.postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]
STEPS = {"one": 1, "ten": 10}
STAY_S = 3.0
WORKERS = 20
DATABASE = "bench"


class Peer(ABC):
    """One product on one database."""

    name: ClassVar[str]  # in the results and as the name of directories
    title: ClassVar[str]  # in tables
    beside: ClassVar[str]  # the compozy on the same kind of database
    promise: ClassVar[str]  # what is durable, by its own defaults
    on_postgres: ClassVar[bool] = False
    slow: ClassVar[bool] = False  # a run takes seconds: two rounds are enough

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.home = scratch / "homes" / self.name
        self.processes = Processes()
        self._postgres: PostgresServer | None = None

    def install(self) -> str:
        """Make it ready in the scratch folder and return its version.

        Raises:
            Unavailable: it cannot be installed here.

        """
        if self.on_postgres:
            from tests.postgres_server import PostgresServer

            self._postgres = PostgresServer(durable=True)
        return self._install()

    def forget(self) -> None:
        """Remove all that was kept, so that the next start is the first."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        if self._postgres is not None:
            self._postgres.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            self._postgres.execute(f"CREATE DATABASE {DATABASE}")

    @abstractmethod
    def start(self) -> None:
        """Start it and return when it takes runs."""

    @abstractmethod
    def load(self, flow: str, in_flight: int, seconds: float) -> Load:
        """Keep *in_flight* runs of *flow* going, each waited for by who started it."""

    @abstractmethod
    def begin(self, count: int, notes: Path) -> None:
        """Begin *count* runs of `stay`, which write to *notes*, without waiting for them."""

    def durability(self) -> str:
        """Say what the running product tells of its own settings that matter here; may be empty."""
        return ""

    def kill(self) -> None:
        """Kill -9 every process of it; a PostgreSQL server is not one."""
        self.processes.kill()

    def stop(self) -> None:
        """Stop it, and leave nothing running."""
        self.processes.stop()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        if self._postgres is not None:
            self._postgres.close()
            self._postgres = None
        shutil.rmtree(self.home, ignore_errors=True)

    def usage(self) -> Usage:
        """Return what its own processes use."""
        return usage(self.processes.pids())

    def database_usage(self) -> Usage:
        """Return what the processes of its PostgreSQL server use, which serves nobody else."""
        return usage(self._database_pids())

    def settle(self) -> None:
        """Let its PostgreSQL server write what it would write later, for what was done before."""
        if self._postgres is not None:
            self._postgres.execute("CHECKPOINT")

    def postgres_settings(self) -> str:
        """Say how durable its PostgreSQL server is."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        return ", ".join(f"{name}={self._tell(f'SHOW {name}')}" for name in names)

    @abstractmethod
    def _install(self) -> str:
        """See `install`."""

    def _run(
        self,
        command: Command,
        environment: Mapping[str, str] | None = None,
        *,
        talks: bool = False,
    ) -> subprocess.Popen[bytes]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        base = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "DO_NOT_TRACK": "1"}
        return self.processes.start(
            command, self.home, {**base, **(environment or {})}, talks=talks
        )

    def _conninfo(self) -> str:
        assert self._postgres is not None
        return self._postgres.conninfo(DATABASE)

    def _database_pids(self) -> list[int]:
        if self._postgres is None:
            return []
        return tree(
            [int(self._tell("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))]
        )

    def _tell(self, statement: str) -> str:
        assert self._postgres is not None
        return str(self._postgres.execute(statement)[0][0])


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], limit_s: float = 120) -> None:
    """Return as soon as *url* of *process* answers well.

    Raises:
        ConnectionError: the process has ended, or it did not answer in *limit_s*.

    """
    deadline = time.monotonic() + limit_s
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.01)
    if process.returncode is not None:
        raise ConnectionError(f"it ended with code {process.returncode} before it answered")
    raise ConnectionError(f"no answer to {url} within {limit_s:.0f} s")
