"""Somebody with an example in front: one terminal for the server, another one to type into."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = f'#!/bin/sh\nexec "{sys.executable}" -m appliance "$@"\n'
ADDRESS = "127.0.0.1:5001"
"""Where a README says that the server is; here each has a port of its own."""
LIMIT_S = 60
_END = "--- typed"


class Newcomer:
    """Types commands in a directory. *database* are variables of the terminal of the server."""

    def __init__(self, home: Path, place: Path, database: dict[str, str]) -> None:
        self.home, self._place, self._database = home, place, database
        self._server: subprocess.Popen[bytes] | None = None
        self._address = "127.0.0.1:0"
        program = place / "bin" / "compozy.pyz"
        program.parent.mkdir()
        program.write_text(PROGRAM)
        program.chmod(0o755)
        self._environment = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TERM": "dumb",
            "COLUMNS": "200",
        }
        self._terminal, screen = pty.openpty()
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=home,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=screen,
            stderr=screen,
        )
        os.close(screen)

    def type(self, lines: str) -> str:
        """Type *lines* into the second terminal and return what it shows."""
        block = self._place / "block.sh"
        block.write_text(lines.replace(ADDRESS, self._address))
        assert self._shell.stdin is not None
        self._shell.stdin.write(f". {block} </dev/null; printf '%s\\n' '{_END}'\n".encode())
        self._shell.stdin.flush()
        return self._read().replace(self._address, ADDRESS)

    def start(self) -> None:
        """Start the server in the first terminal; one that runs there is stopped before."""
        self.stop()
        log = self._place / "server.log"
        with log.open("wb") as screen:
            self._server = subprocess.Popen(
                ["compozy.pyz", "start", "--port", self._address.partition(":")[2]],
                cwd=self.home,
                env={**self._environment, **self._database},
                executable=self._place / "bin" / "compozy.pyz",
                stdout=screen,
                stderr=screen,
            )
        give_up_at = time.monotonic() + LIMIT_S
        while not (said := re.search(r"Listening on http://(\S+)", log.read_text())):
            assert self._server.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.05)
        self._address = said[1]

    def stop(self) -> None:
        """Press Ctrl-C in the first terminal, and see the server end well."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            assert self._server.wait(LIMIT_S) in (0, 130)
            self._server = None

    def leave(self) -> None:
        """Close both terminals."""
        for process in filter(None, (self._server, self._shell)):
            with process:
                process.kill()
        os.close(self._terminal)

    def _read(self) -> str:
        shown = b""
        give_up_at = time.monotonic() + LIMIT_S
        while not shown.endswith(f"{_END}\r\n".encode()):
            left = give_up_at - time.monotonic()
            assert select.select([self._terminal], [], [], max(left, 0))[0], shown.decode()
            shown += os.read(self._terminal, 1 << 16)
        return shown.decode().replace("\r\n", "\n").removesuffix(f"{_END}\n")


@contextmanager
def newcomer(home: Path, place: Path, database: dict[str, str]) -> Iterator[Newcomer]:
    """Give a newcomer the directory *home*, and *place* for what is not in it."""
    somebody = Newcomer(home, place, database)
    try:
        yield somebody
        somebody.stop()
    finally:
        somebody.leave()
