"""A7: the disk turns read-only in the middle of everything, as Linux does it after an error.

Mounted with `errors=remount-ro`, ext4 is told that it has found an error. Where that cannot be done
every write to the database is answered with EROFS instead.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings

from .filesystem import FileSystem, mounted
from .history import History, Outcome
from .load import Load
from .machine import needs
from .oracle import judge, judge_file
from .serving import Server
from .tiers import sized
from .trace import striking
from .verdict import Verdict

ROUNDS = sized(1, 3, 30)
STORAGE_BROKE, MISCONFIGURED = 74, 78

Turn = Callable[[int], AbstractContextManager[None]]
"""Has the disk of the process with this id read-only for a while."""


@contextmanager
def _turned(disk: FileSystem, server: Server, _: int) -> Iterator[None]:
    """Have ext4 find an error, until the file system is mounted again."""
    trigger = Path(f"/sys/fs/ext4/{disk.device}/trigger_fs_error")
    trigger.write_text("on purpose")
    yield
    with server.launched() as process:
        assert MISCONFIGURED == process.wait(30), server.log
    assert "mount -o remount,rw" in server.log
    disk.restore_power()


def endured(server: Server, history: History, seed: str, turn: Turn) -> None:
    """Turn the disk read-only under load; the server says so and leaves."""
    dice = random.Random(seed)
    for number in range(ROUNDS):
        with server.running() as process, Load(server, history, f"{seed}-{number}"):
            time.sleep(dice.uniform(0.2, 0.6))
            with turn(process.pid):
                assert STORAGE_BROKE == process.wait(10), server.log
        assert "storage.broken" in server.log


@pytest.mark.parametrize("kind", ["ext4", pytest.param("injected", marks=pytest.mark.reliability)])
def test_nothing_acknowledged_is_lost_when_the_disk_turns_read_only(
    tmp_path: Path, seed: str, kind: str, conclude: Callable[[Verdict], None]
) -> None:
    """The process ends with 74, does not start on such a disk, and has everything on a sound one."""
    history = History(tmp_path / "history")
    verdict = Verdict(f"A7 read-only disk, {kind}", ROUNDS)
    with _disk(tmp_path, kind) as (server, turn):
        endured(server, history, seed, turn)
        with server.running() as process:
            verdict.add(judge(server, history, ROUNDS))
            process.terminate()
            assert 0 == process.wait(30)
        verdict.add(judge_file(tmp_path / "data" / "app.db"))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    conclude(verdict)


@pytest.mark.reliability
def test_a_server_that_goes_on_is_caught(tmp_path: Path, seed: str) -> None:
    """Where nobody hears that the disk is read-only, acknowledged writes are lost, and that is found."""
    history = History(tmp_path / "history")
    with _disk(tmp_path, "injected", "swallow_storage_errors") as (server, turn):
        with server.running() as process:
            with Load(server, history, seed), turn(process.pid):
                time.sleep(2)
            process.kill()
        with server.running():
            assert judge(server, history, 1).lost


@contextmanager
def _disk(home: Path, kind: str, sabotage: str = "") -> Iterator[tuple[Server, Turn]]:
    path = str(home / "data" / "app.db")
    server = Server(home, DatabaseSettings(path=path), sabotage=sabotage)
    if kind == "injected":
        needs("strace")
        yield server, partial(striking, path=path, fault="pwrite64:error=EROFS:when=1+")
        return
    needs("ext4")
    with mounted(home / "data", "ext4", options="errors=remount-ro") as disk:
        yield server, partial(_turned, disk, server)
