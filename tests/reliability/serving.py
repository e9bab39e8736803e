"""A server as a process of its own, that can be killed and started again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.config import DatabaseSettings

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests" / "engine" / "project"


class Server:
    """A server process on a data directory, driven over HTTP with the admin key it left there."""

    def __init__(
        self, home: Path, database: DatabaseSettings, project: Path = PROJECT, **environment: str
    ) -> None:
        self.home = home
        self._project = project
        self.url = f"http://127.0.0.1:{_free_port()}"
        name = "DB_CONN_STRING" if database.conninfo else "DATABASE_URL"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            name: database.conninfo or database.path,
            "LEDGER": str(home / "ledger"),
            "SERVER_PORT": self.url.rpartition(":")[2],
            **environment,
        }

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the server, wait until it answers, and see to it that it is gone at the end."""
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "appliance", "start", str(self._project)],
                cwd=self.home,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_ready(process)
            yield process
        finally:
            process.kill()
            process.wait()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(600):
            assert process.poll() is None, (self.home / "log").read_text()
            if self.answers:
                return
            time.sleep(0.05)
        raise AssertionError((self.home / "log").read_text())

    @property
    def answers(self) -> bool:
        """Whether the process answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                return True
        except OSError:
            return False

    @property
    def admin_key(self) -> str:
        """The key that the server left in its data directory."""
        return (self.home / "data" / "admin.key").read_text().strip()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request as the admin and return the `data` of the answer."""
        request = urllib.request.Request(
            f"{self.url}/api/v0{path}",
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": f"Bearer {self.admin_key}",
                "Content-Type": "application/json",
                **headers,
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
