"""A4: the power is cut on a real file system while writes of every kind are asked for.

The data directory is a file system of its own. An ioctl stops it at once: what was not synced is
gone when it is mounted again. Backups are made meanwhile, and one cut hits the very first start.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings

from .filesystem import FileSystem, mounted
from .history import History, Outcome
from .load import Load
from .machine import needs
from .oracle import Findings, judge, judge_file
from .serving import Server
from .tiers import sized
from .verdict import Verdict

CUTS = sized(1, 12, 200)
STORAGE_BROKE = 74
BACKUP = "backup"


@contextmanager
def powered(home: Path, kind: str, sabotage: str = "") -> Iterator[tuple[Server, FileSystem]]:
    """Give a server whose data directory is a file system of its own."""
    with mounted(home / "data", kind) as disk:
        settings = DatabaseSettings(path=str(disk.place / "app.db"))
        yield Server(home, settings, sabotage=sabotage), disk


def cut_off(server: Server, disk: FileSystem, history: History, seed: str, cuts: int) -> None:
    """Cut the power again and again under load. The server notices it and leaves by itself."""
    dice = random.Random(seed)
    for number in range(cuts):
        load = Load(server, history, f"{seed}-{number}")
        with server.running() as process, load, _backups(server, history):
            time.sleep(dice.uniform(0.1, 0.7))
            disk.cut()
            assert STORAGE_BROKE == process.wait(10), server.log
        disk.restore_power()


def cut_off_at_first(server: Server, disk: FileSystem, seed: str) -> None:
    """Cut the power while the server is started for the very first time."""
    with server.launched():
        time.sleep(random.Random(seed).uniform(0.2, 1.5))
        disk.cut()
    disk.restore_power()


@contextmanager
def _backups(server: Server, history: History) -> Iterator[None]:
    """Make one backup after the other."""
    end = threading.Event()

    def make() -> None:
        while not end.is_set():
            history.write(BACKUP, str(time.monotonic_ns()), lambda: server.call("POST", "/backups"))
            end.wait(0.1)

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    try:
        yield
    finally:
        end.set()
        maker.join(30)


def damaged_backups(server: Server, history: History) -> Findings:
    """Have every backup that was acknowledged verified; what has a name is whole in any case."""
    findings = Findings()
    wanted = {write.answer["name"] for write in history.of(BACKUP) if write.outcome is Outcome.OK}
    there = {backup["name"] for backup in server.call("GET", "/backups")["backups"]}
    findings.lost += [f"backup {name} was acknowledged and is gone" for name in wanted - there]
    for name in there:
        try:
            server.call("POST", f"/backups/{name}/verify")
        except OSError as error:
            findings.corrupt.append(f"backup {name}: {error}")
    return findings


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_nothing_acknowledged_is_lost_when_the_power_is_cut(
    tmp_path: Path, seed: str, kind: str, conclude: Callable[[Verdict], None]
) -> None:
    """What was acknowledged was on the disk: rows, backups, the admin key and their names."""
    needs(kind)
    verdict = Verdict(f"A4 power cut, {kind}", CUTS + 1)
    history = History(tmp_path / "history")
    with powered(tmp_path, kind) as (server, disk):
        cut_off_at_first(server, disk, seed)
        cut_off(server, disk, history, seed, CUTS)
        with server.running() as process:
            verdict.add(judge(server, history, CUTS))
            verdict.add(damaged_backups(server, history))
            process.terminate()
            assert 0 == process.wait(30)
        verdict.add(judge_file(disk.place / "app.db"))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    assert verdict.acknowledged > CUTS
    assert any(write.outcome is Outcome.OK for write in history.of(BACKUP))
    conclude(verdict)


@pytest.mark.reliability
def test_a_server_that_does_not_wait_for_the_disk_is_caught(tmp_path: Path, seed: str) -> None:
    """With `synchronous=NORMAL` the scenario finds losses, most often after one cut."""
    needs("ext4")
    history, lost = History(tmp_path / "history"), []
    with powered(tmp_path, "ext4", "synchronous_normal") as (server, disk):
        for number in range(8):
            cut_off(server, disk, history, f"{seed}-{number}", 1)
            with server.running():
                lost = judge(server, history, number + 1, patience_s=2).lost
            if lost:
                break
    assert lost
