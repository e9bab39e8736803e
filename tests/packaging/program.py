"""compozy.pyz as somebody runs it: from a directory, with an environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""The file asks for `python3`: let that be the one it was built for."""


class Program:
    """A copy of the file, the directory it is called from and the one where it unpacks itself."""

    def __init__(self, path: Path, cwd: Path, unpacked: Path) -> None:
        self.path = path
        self.cwd = cwd
        self.unpacked = unpacked

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [self.path, *words],
            cwd=self.cwd,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def serving(self, *words: str) -> Iterator[Server]:
        """Start the server on a free port, for as long as the block lasts."""
        log = self.cwd / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self.path, "start", "--port", "0", *words],
                cwd=self.cwd,
                env=self._environment({}),
                stdout=output,
                stderr=output,
            )
        try:
            yield Server(process, log)
        finally:
            process.kill()
            process.wait()

    def trees(self) -> list[Path]:
        """Where it unpacked itself, and others before it."""
        return sorted(path for path in self.unpacked.glob("*.pyz_*") if path.is_dir())

    def _environment(self, extra: dict[str, str]) -> dict[str, str]:
        return {"PATH": PATH, "SHIV_ROOT": str(self.unpacked), **extra}


class Server:
    """A server that is running."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def url(self) -> str:
        """Where it listens, as soon as it says so."""
        while self.process.poll() is None:
            if found := re.search(r"Listening on (\S+)", self._log.read_text()):
                return found[1]
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(f"the server ended: {self._log.read_text()}")

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)
