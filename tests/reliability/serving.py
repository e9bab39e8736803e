"""A server as a process of its own, that can be killed and started again.

It runs the package, or the built file that `RELIABILITY_PROGRAM` names.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from appliance.config import DatabaseSettings

ROOT = Path(__file__).parents[2]
PROGRAM = os.environ.get("RELIABILITY_PROGRAM", "")
READY_LIMIT_S = 30.0
PROJECT = ROOT / "tests" / "engine" / "project"


class Server:
    """A server process on a data directory, driven over HTTP with the admin key it left there.

    *sabotage* names a protection to take away. `recoveries` has the seconds from each start to the
    first write that could be acknowledged.
    """

    def __init__(
        self,
        home: Path,
        database: DatabaseSettings,
        project: Path = PROJECT,
        *,
        sabotage: str = "",
        **environment: str,
    ) -> None:
        self.home = home
        self.database = database
        self.recoveries: list[float] = []
        self.keys = home
        """Whose data directory has the admin key."""
        self.timeout_s = 10.0
        """How long a caller waits for an answer."""
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._program = _program(sabotage)
        self._project = str(project)
        name = "DB_CONN_STRING" if database.conninfo else "DATABASE_URL"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            # in front, for the built file finds by it the Python that it was built for
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            name: database.conninfo or database.path,
            "LEDGER": str(home / "ledger"),
            "PYTHONFAULTHANDLER": "1",  # what ends in a signal says where, in the log
            "SERVER_PORT": self.url.rpartition(":")[2],
            **({} if PROGRAM and not sabotage else {"PYTHONPATH": str(ROOT)}),
            **environment,
        }

    @contextmanager
    def running(self, *wrapper: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start the server, wait until it is ready, and see to it that it is gone at the end.

        *wrapper* is a command that the server is started by, such as `prlimit --nofile=64`.
        """
        with self.launched(*wrapper) as process:
            self.wait_until_ready(process)
            yield process

    @contextmanager
    def launched(self, *wrapper: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start the server without waiting for anything, and see to it that it is gone at the end."""
        self._begun = time.monotonic()
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(
                [*wrapper, *self._program, "start", self._project],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start another command of the program in the server's place; it is gone at the end."""
        with subprocess.Popen(
            [*self._program, *arguments],
            cwd=self.home,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def command(
        self, *arguments: str, wrapper: Iterable[str] = (), **environment: str
    ) -> CompletedProcess[str]:
        """Run another command of the program in the server's place, to its end."""
        return subprocess.run(
            [*wrapper, *self._program, *arguments],
            cwd=self.home,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a write can be acknowledged, and note how long that took."""
        while not self.ready:
            assert process.poll() is None, self.log
            assert time.monotonic() - self._begun < READY_LIMIT_S, self.log
            time.sleep(0.02)
        self.recoveries.append(time.monotonic() - self._begun)

    @property
    def log(self) -> str:
        """What the processes have said."""
        return (self.home / "log").read_text()

    @property
    def ready(self) -> bool:
        """Whether a write can be acknowledged now."""
        return self._says_yes("/ready")

    @property
    def answers(self) -> bool:
        """Whether the process answers."""
        return self._says_yes("/health")

    def _says_yes(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=1):
                return True
        except (OSError, http.client.HTTPException):
            return False

    @property
    def admin_key(self) -> str:
        """The key that the server left in its data directory."""
        return (self.keys / "data" / "admin.key").read_text().strip()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request as the admin and return the `data` of the answer, None where there is none."""
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
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                told = answer.read()
        except urllib.error.HTTPError as refusal:
            body = refusal.read()
            again = urllib.error.HTTPError(
                refusal.url, refusal.code, refusal.reason, refusal.headers, io.BytesIO(body)
            )
            again.add_note(body.decode())
            raise again from None
        return json.loads(told)["data"] if told else None


def _program(sabotage: str) -> list[str]:
    if sabotage:
        return [sys.executable, "-m", "tests.reliability.sabotage", sabotage]
    return [str(ROOT / PROGRAM)] if PROGRAM else [sys.executable, "-m", "appliance"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
