"""A6: the disk fills up, because of others or because of us, at every bad moment.

The data directory is a small file system of its own. Writes are refused with 507 and reads go on;
when there is room again everything works without a restart. A start on a full disk succeeds too: the
ballast gives it the room that SQLite needs to look through its log.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings

from .filesystem import fill, in_memory
from .history import History, Outcome
from .load import Load, note
from .machine import needs
from .oracle import judge, judge_file
from .serving import Server
from .tiers import sized
from .verdict import Verdict

ROUNDS = sized(1, 4, 40)
FULL = "507 storage_full"
DISK_FULL = 74


@contextmanager
def small_disk(home: Path, ballast: str = "16MiB") -> Iterator[Server]:
    """Give a server whose data directory has little room."""
    needs("tmpfs")
    with in_memory(home / "data", "24m") as place:
        settings = DatabaseSettings(path=str(place / "app.db"))
        yield Server(home, settings, DB_BALLAST=ballast)


def fill_while_asked(server: Server, history: History, seed: str) -> None:
    """Fill the disk under load, make room again, and wait until writes are acknowledged again."""
    data = server.home / "data"
    with Load(server, history, seed):
        time.sleep(0.3)
        foreign = fill(data)
        refused = _count(history)
        _until(lambda: _count(history) > refused + 5)
        assert server.call("GET", "/users")["users"], "reads go on"
        assert "full" in _not_ready(server)
        foreign.unlink()
        _until(lambda: server.ready)
        acknowledged = history.count(Outcome.OK)
        _until(lambda: history.count(Outcome.OK) > acknowledged + 5)


def _count(history: History) -> int:
    return sum(FULL in str(write.answer) for write in history.writes)


def _not_ready(server: Server) -> str:
    """Return what a server says that is not ready."""
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{server.url}/ready", timeout=5)
    with refusal.value as answer:
        told: str = json.load(answer)["detail"]
    return told


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_acknowledged_is_lost_on_a_full_disk(
    tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Full under load, full during a backup, and full at a start after a crash."""
    verdict, history = Verdict("A6 full disk"), History(tmp_path / "history")
    with small_disk(tmp_path) as server:
        for number in range(ROUNDS):
            with server.running():
                fill_while_asked(server, history, f"{seed}-{number}")
                backup_without_room(server)
            start_without_room(server, history, f"{seed}-{number}")
            verdict.faults += 3
        with server.running() as process:
            verdict.add(judge(server, history, verdict.faults))
            process.terminate()
            assert 0 == process.wait(30)
        verdict.add(judge_file(tmp_path / "data" / "app.db"))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    conclude(verdict)


def backup_without_room(server: Server) -> None:
    """A backup that finds no room leaves nothing behind."""
    foreign = fill(server.home / "data", leave=100_000)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        server.call("POST", "/backups")
    refusal.value.close()
    assert 507 == refusal.value.code
    assert [] == list((server.home / "data" / "backups").iterdir())
    foreign.unlink()


def start_without_room(server: Server, history: History, seed: str) -> None:
    """Kill the server, fill the disk, and start it: it reads, and says that it is full."""
    with server.running() as process, Load(server, history, f"{seed}-killed"):
        time.sleep(0.3)
        process.kill()
    foreign = fill(server.home / "data")
    with server.launched() as process:
        _until(lambda: server.answers)
        assert server.call("GET", "/users")["users"]
        assert "ballast.given_up" in server.log
        assert (server.home / "data" / "ballast").exists(), "it is kept for the next start"
        foreign.unlink()
        _until(lambda: server.ready)
        assert Outcome.OK is note(server, history, f"{seed}-after")
        process.terminate()
        assert 0 == process.wait(30)


def test_without_ballast_a_full_disk_keeps_the_server_from_starting(
    tmp_path: Path, seed: str
) -> None:
    """What the ballast is good for: without it a crash and a full disk end in exit code 74."""
    history = History(tmp_path / "history")
    with small_disk(tmp_path, "0") as server:
        with server.running() as process, Load(server, history, seed):
            time.sleep(0.3)
            process.kill()
        fill(tmp_path / "data")
        with server.launched() as process:
            assert DISK_FULL == process.wait(30), server.log


@pytest.mark.reliability
def test_a_first_start_without_room_says_so(tmp_path: Path) -> None:
    """A migration that finds no room leaves nothing half done: the next start begins with it."""
    with small_disk(tmp_path) as server:
        foreign = fill(tmp_path / "data", leave=100_000)
        with server.launched() as process:
            assert DISK_FULL == process.wait(30), server.log
        assert "disk is full" in server.log
        foreign.unlink()
        with server.running():
            assert [] == server.call("GET", "/workflows?limit=1")["workflows"][1:]
