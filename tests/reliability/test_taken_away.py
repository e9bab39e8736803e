"""A9: somebody deletes or replaces the database, or its log, while the server has them open.

SQLite notices nothing: it goes on in files that have no name any more. The server must notice, stop
acknowledging, save what it has and leave with a sentence that says how to go on with that.
"""

from __future__ import annotations

import random
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings

from .history import History, Outcome
from .load import LANES, Load, note
from .oracle import judge, judge_file
from .serving import Server
from .tiers import sized
from .verdict import Verdict

STORAGE_BROKE, MISCONFIGURED = 74, 78
NOTICED_S = 2.0
LEAVING_S = 6.0
"""For a process that ends on a machine that has much else to do."""


def _delete(path: Path, _: Path) -> None:
    path.unlink()


def _replace(path: Path, other: Path) -> None:
    Path(shutil.copy(other, path.with_name("other"))).rename(path)


def _copy_over(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


Interference = Callable[[Path, Path], None]
WAYS: list[tuple[str, Interference]] = [
    ("", _delete),
    ("-wal", _delete),
    ("", _replace),
    ("-wal", _replace),
]
SOME = sized(1, 4, 4)
ROUNDS = sized(1, 1, 20)


def disturbed(path: Path, victim: str, way: Interference) -> None:
    """Interfere with a file of the server that runs."""
    other = path.with_name("foreign.db")
    shutil.copy(path, other)
    way(path.with_name(path.name + victim), other)


def put_right(server: Server, path: Path) -> None:
    """Do what the sentence of the server says, if there is anything to be done."""
    saved = [name for name in re.findall(r"saved to (\S+);", server.log) if Path(name).exists()]
    if not saved:
        return
    if not path.exists():  # it does not begin anew with nothing
        with server.launched() as process:
            assert MISCONFIGURED == process.wait(30), server.log
    (command,) = set(re.findall(rf"mv {re.escape(saved[-1])} [^`\s]+", server.log))
    subprocess.run(shlex.split(command), check=True)


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_nothing_acknowledged_is_lost_when_files_are_taken_away(
    sqlite_settings: DatabaseSettings,
    tmp_path: Path,
    seed: str,
    busy: bool,
    conclude: Callable[[Verdict], None],
) -> None:
    """The server leaves by itself within two seconds, and its sentence leads back to everything."""
    server, history = Server(tmp_path, sqlite_settings), History(tmp_path / "history")
    path = Path(sqlite_settings.path)
    verdict = Verdict(f"A9 files taken away, {'busy' if busy else 'idle'}")
    ways = random.Random(seed).sample(WAYS, SOME) * ROUNDS
    for number, (victim, way) in enumerate(ways):
        load = Load(server, history, f"{seed}-{number}", lanes=LANES if busy else 0)
        with server.running() as process, load:
            note(server, history, f"{seed}-{number}-first")
            time.sleep(0.3)
            disturbed(path, victim, way)
            assert STORAGE_BROKE == process.wait(LEAVING_S), server.log
        put_right(server, path)
        verdict.faults += 1
    with server.running() as process:
        verdict.add(judge(server, history, verdict.faults))
        process.terminate()
        assert 0 == process.wait(30)
    verdict.add(judge_file(path))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    conclude(verdict)


def test_a_write_into_a_database_that_was_copied_over_is_not_acknowledged(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """Nothing tells an idle server of it, so the next write does, and is refused."""
    server, history = Server(tmp_path, sqlite_settings), History(tmp_path / "history")
    with server.running() as process:
        note(server, history, "lane-1")
        time.sleep(1.5)  # until the log is in the file and the server is idle
        disturbed(Path(sqlite_settings.path), "", _copy_over)
        assert Outcome.OK is not note(server, history, "lane-2")
        assert STORAGE_BROKE == process.wait(LEAVING_S)
    assert "written by another program" in server.log


@pytest.mark.reliability
def test_a_server_that_looks_away_is_caught(
    sqlite_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """Without the look it goes on acknowledging, and everything is gone at the next start."""
    server = Server(tmp_path, sqlite_settings, sabotage="look_away")
    history, path = History(tmp_path / "history"), Path(sqlite_settings.path)
    with server.running() as process, Load(server, history, seed):
        disturbed(path, "-wal", _delete)
        time.sleep(NOTICED_S)
        assert process.poll() is None
        process.kill()
    with server.running():
        assert judge(server, history, 1, patience_s=2).all
