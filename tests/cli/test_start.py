"""Rules of `start`, as a real process, and of commands while it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.store.datadir import DataDirectory
from tests.cli.conftest import Terminal

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
PROGRAM = [sys.executable, "-m", "appliance"]
SLOW = """
id: slow
tasks:
  - {id: nap, tool: nap, timeout: 60s}
"""


class Server:
    """A server process in a directory, on a free port."""

    def __init__(self, directory: Path, *words: str, command: str = "start") -> None:
        self.data = DataDirectory(directory / "data")
        self._log = directory / "server.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, command, "--port", "0", *words],
                cwd=directory,
                env=ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.url = self._wait_for_url()

    @property
    def said(self) -> str:
        """What the server wrote to standard error so far."""
        return self._log.read_text()

    def end(self, signum: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(20)

    def _wait_for_url(self) -> str:
        for _ in range(600):
            holder = self.data.holder()
            if holder and holder.url:
                return holder.url
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(self.said)


@pytest.fixture
def server(terminal: Terminal) -> Iterator[Server]:
    """A server of the sample in the directory of the terminal, with a workflow that takes long."""
    (terminal.directory / "tools.py").write_text(
        "import time\n\ndef nap() -> int:\n    time.sleep(30)\n    return 1\n"
    )
    (terminal.directory / "slow.yaml").write_text(SLOW)
    running = Server(terminal.directory, "slow.yaml")
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)
    assert running.process.stdout is not None
    running.process.stdout.close()


def test_start_without_configuration(terminal: Terminal) -> None:
    """`start` needs nothing: it says where it listens and how to go on, and never the key."""
    server = Server(terminal.directory)
    key = (terminal.directory / "data/admin.key").read_text().strip()
    lines = [line for line in server.said.splitlines() if not line.startswith("{")]
    assert lines[-4:] == [
        f"Listening on {server.url} (sample, 1 workflow(s))",
        f"Database: SQLite at {terminal.directory}/data/app.db",
        f"Admin key: in {terminal.directory}/data/admin.key",
        f"Try: {Path(sys.executable).name} -m appliance workflow run hello --input name=Ada",
    ]
    assert 1 == server.said.count("SQLite mode without vector database")
    greeting = terminal.json("workflow", "run", "hello", "--input", "name=Ada")
    assert {"greeting": "Hello, Ada!"} == greeting
    assert 0 == server.end()
    assert key not in server.said
    assert server.process.stdout is not None
    assert b"" == server.process.stdout.read()
    server.process.stdout.close()


def test_commands_call_the_server(terminal: Terminal, server: Server) -> None:
    """While a server runs, commands call it, and what needs the database alone is refused."""
    exec_id = terminal.ok("workflow", "run", "slow", "--detach").strip()
    assert "RUNNING" == terminal.json("exec", "get", exec_id)["status"]
    assert str(server.process.pid) in terminal.fails(73, "migrate", "up")
    assert str(server.process.pid) in terminal.fails(73, "start", "--port", "0").splitlines()[-1]
    assert "CANCELED" == terminal.json("exec", "cancel", exec_id)["status"]
    assert "ended CANCELED" in terminal.run("exec", "watch", exec_id).stderr
    assert 1 == len(terminal.json("exec", "list", "--base-url", f"{server.url}/api/v0/"))
    backup = terminal.json("backup")["name"]
    assert "is written" in terminal.ok("backup", "download", backup, "copy.zip")
    assert "is sound" in terminal.ok("restore", "copy.zip", "--to", "other", "--dry-run")


def test_killed_server(terminal: Terminal, server: Server) -> None:
    """After a crash commands work without it; its run is left to the next server, or cancelled."""
    exec_id = terminal.ok("workflow", "run", "slow", "--detach").strip()
    server.end(signal.SIGKILL)
    words = ("exec", "get", exec_id, "--cwd", str(terminal.directory))
    assert "RUNNING" == terminal.json(*words)["status"]
    assert "RUNNING" == terminal.json(*words)["status"]
    assert "CANCELED" == terminal.json("exec", "cancel", exec_id)["status"]


def test_interrupted_wait(terminal: Terminal, server: Server) -> None:
    """Ctrl-C while waiting ends the command (130), not the run."""
    client = subprocess.Popen(
        [*PROGRAM, "workflow", "run", "slow"],
        cwd=terminal.directory,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (runs := terminal.json("exec", "list")):
        time.sleep(0.05)
    time.sleep(0.3)  # the answer to the start has to arrive
    client.send_signal(signal.SIGINT)
    _, said = client.communicate(timeout=20)
    assert 130 == client.returncode
    exec_id = runs[0]["workflow_exec_id"]
    assert f"Run {exec_id} goes on" in said
    assert "Traceback" not in said
    assert "RUNNING" == terminal.json("exec", "get", exec_id)["status"]
    assert server.process.poll() is None


def test_live_tree(terminal: Terminal) -> None:
    """On a terminal a run is drawn while it goes on; standard output has the result alone."""
    ours, theirs = os.openpty()
    done = subprocess.run(
        [*PROGRAM, "workflow", "run", "hello"],
        cwd=terminal.directory,
        env={**ENVIRONMENT, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
    )
    os.close(theirs)
    drawn = b""
    with suppress(OSError):  # reading a terminal that nobody writes to any more
        while piece := os.read(ours, 65536):
            drawn += piece
    os.close(ours)
    assert {"greeting": "Hello, world!"} == json.loads(done.stdout)
    assert "── greet" in drawn.decode()
    assert b"\x1b[32mSUCCESS" in drawn


@pytest.mark.parametrize(
    ("words", "environ", "code"),
    [
        (["nowhere"], {}, 65),
        ([], {"DATABASE_URL": "mysql://x"}, 78),
        (["--no-auth", "--host", "0.0.0.0"], {}, 78),
        ([], {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "DB_CONNECT_TIMEOUT": "1s"}, 69),
    ],
    ids=str,
)
def test_refused(terminal: Terminal, words: list[str], environ: dict[str, str], code: int) -> None:
    """What cannot work does not start: one sentence, and the exit code that fits."""
    message = terminal.fails(code, "start", "--port", "0", *words, **environ)
    assert message.splitlines()[-1].startswith("error: ")


def test_pgvector_with_sqlite(terminal: Terminal) -> None:
    """SQLite with pgvector does not start, with the names of what does."""
    terminal.ok("init")
    with (terminal.directory / "compozy.yaml").open("a") as file:
        file.write("vector_dbs:\n  - {id: v, type: pgvector, config: {dimension: 3}}\n")
    assert "qdrant, redis or filesystem" in terminal.fails(78, "start")
    assert not (terminal.directory / "data").exists()
