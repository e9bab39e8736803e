"""Hostile input to a real server with its limits as they are: refused or bounded, and it lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server

from .hostile import THINGS, Enemy, write_project

MOST_MIB = 300


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """A server, and the id of its process."""
    home = tmp_path_factory.mktemp("hostile")
    server = Server(home, DatabaseSettings(path=str(home / "app.db")), write_project(home))
    with server.running() as process:
        yield server, process.pid
        assert process.poll() is None, (home / "log").read_text()


def peak_mib(pid: int) -> float:
    """Return the most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.mark.parametrize("name", THINGS)
def test_what_is_hostile_is_bounded(served: tuple[Server, int], name: str) -> None:
    """There is one clear answer, nobody else notices, and little memory is used."""
    server, pid = served
    send, status, words = THINGS[name]
    said = send(Enemy(server.url, server.admin_key))
    assert status == said.status, said
    assert words in said.text
    assert "Traceback" not in said.text
    assert len(said.text) < 1000
    assert server.answers
    assert peak_mib(pid) < MOST_MIB
