"""Rules of `dev` and of SIGHUP, as real processes: what is saved counts, what is broken does not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal
from tests.cli.test_start import Server
from tests.operations.projects import TOOLS, Shop


@pytest.fixture
def shop(terminal: Terminal) -> Shop:
    """A project in the directory of the terminal."""
    return Shop(terminal.directory)


@pytest.fixture
def dev(shop: Shop) -> Iterator[Server]:
    """`dev` in the directory of the shop."""
    yield from running(Server(shop.directory, command="dev"))


def running(server: Server) -> Iterator[Server]:
    yield server
    if server.process.poll() is None:
        server.end(signal.SIGKILL)
    assert server.process.stdout is not None
    server.process.stdout.close()


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_what_is_saved_counts_without_a_restart(
    terminal: Terminal, shop: Shop, dev: Server
) -> None:
    """A new function is callable, a broken file is told with its place and changes nothing."""
    pid = dev.process.pid
    assert {"said": "Hello, Eve"} == terminal.json(
        "workflow", "run", "greet", "--input", "name=Eve"
    )

    shop.write("tools.py", TOOLS + "\ndef bow():\n    return 'deeply'\n")
    shop.write("parts/bow.yaml", "{resource: workflow, id: bow, tasks: [{id: a, tool: bow}]}")
    assert wait_until(lambda: "reloaded: workflow bow is new" in dev.said), dev.said
    assert {"a": {"output": "deeply"}} == terminal.json("workflow", "run", "bow")

    shop.write("parts/bow.yaml", "{resource: workflow, id: bow, tasks: [{id: a, tool: bwo}]}")
    assert wait_until(lambda: "the former version goes on" in dev.said), dev.said
    assert "parts/bow.yaml:1:47: there is no tool 'bwo'" in dev.said
    assert "Traceback" not in dev.said
    assert {"a": {"output": "deeply"}} == terminal.json("workflow", "run", "bow")

    shop.write("parts/bow.yaml", "{resource: workflow, id: curtsy, tasks: [{id: a, tool: bow}]}")
    assert wait_until(lambda: "reloaded: workflow bow is gone" in dev.said), dev.said
    assert {"a": {"output": "deeply"}} == terminal.json("workflow", "run", "curtsy")
    assert (pid, 0) == (dev.process.pid, dev.end())


def test_variables_are_followed(terminal: Terminal, shop: Shop, dev: Server) -> None:
    """What `.env` says reaches templates and tools, also when the file is new."""
    shop.replace("greet.yaml", "{{ .workflow.input.name }}", "{{ .env.WHO }}")
    shop.write(".env", "WHO=one\n")
    assert wait_until(lambda: "reloaded: the variables of .env are changed" in dev.said), dev.said
    assert {"said": "Hello, one"} == terminal.json("workflow", "run", "greet")
    assert 0 == dev.end()


def test_nothing_is_written_while_nothing_changes(shop: Shop, dev: Server) -> None:
    """Looking at the files is all it does: what is saved without a change is not even told."""
    said = dev.said
    before = _cpu(dev.process.pid)
    os.utime(shop.directory / "greet.yaml")
    time.sleep(3)
    assert said == dev.said
    assert _cpu(dev.process.pid) - before < 1.0
    assert 0 == dev.end()


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def started(shop: Shop) -> Iterator[Server]:
    """`start` in the directory of the shop."""
    yield from running(Server(shop.directory))


def test_start_reads_again_at_sighup_alone(terminal: Terminal, shop: Shop, started: Server) -> None:
    """A service does not watch files; SIGHUP is the word for it, and a broken file is no end."""
    shop.write("greet.yaml", "id: greet\ntasks: [")
    started.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: "project.not_reloaded" in started.said), started.said
    assert "greet.yaml:3:1" in started.said
    assert {"said": "Hello, Ada"} == terminal.json("workflow", "run", "greet")

    shop.write("greet.yaml", "{id: greet, tasks: [{id: a, tool: greet, with: {name: Bob}}]}")
    time.sleep(1.0)
    assert {"said": "Hello, Ada"} == terminal.json("workflow", "run", "greet")
    started.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: "project.reloaded" in started.said), started.said
    assert {"a": {"output": "Hello, Bob"}} == terminal.json("workflow", "run", "greet")
    assert 0 == started.end()
