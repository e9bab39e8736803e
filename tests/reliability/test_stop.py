"""A21: a server is asked to stop while it is at work, once and twice, in a backup and a migration."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.failpoint import VARIABLE

from .history import History, Outcome
from .load import Load
from .oracle import UNFINISHED, judge, judge_file
from .serving import Server
from .tiers import kinds, sized
from .verdict import Verdict

STOPS = sized(1, 5, 30)
GRACE_S = 1
WITHIN_S = 10
"""In so many seconds a stop is over: requests and steps get the grace, the rest is tidying up."""

AT_ONCE_S = 1.0


def served(home: Path, database: DatabaseSettings, sabotage: str = "") -> Server:
    """Return a server that gives requests and steps little time to end."""
    home.mkdir(exist_ok=True)
    return Server(home, database, sabotage=sabotage, SERVER_SHUTDOWN_TIMEOUT=f"{GRACE_S}s")


def begin_slow(server: Server, seconds: float) -> str:
    """Begin a run of one step and return its id once the step is under way."""
    body = {"input": {"seconds": seconds}}
    exec_id = str(server.call("POST", "/workflows/slow/executions", body)["exec_id"])
    while f"{exec_id}.1 1 begin" not in ledger(server):
        time.sleep(0.02)
    return exec_id


def ledger(server: Server) -> str:
    """What the tools have noted."""
    path = server.home / "ledger"
    return path.read_text() if path.exists() else ""


def stop(process: Popen[bytes], within_s: float = WITHIN_S) -> float:
    """Ask a server to stop and return after how many seconds it had."""
    begun = time.monotonic()
    process.terminate()
    assert 0 == process.wait(within_s)
    return time.monotonic() - begun


@pytest.mark.parametrize("database", kinds("postgres"), indirect=True)
def test_a_stop_loses_nothing(
    database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """It ends with 0 in time; what was under way is handed back, begun anew and not held against it."""
    server = served(tmp_path, database)
    history = History(tmp_path / "history")
    verdict = Verdict(f"A21 stopped, {database.driver}", STOPS)
    took = []
    for number in range(STOPS):
        with server.running() as process:
            slow = begin_slow(server, GRACE_S * 2)
            with Load(server, history, f"{seed}-{number}"):
                time.sleep(0.5)
                took.append(stop(process))
    with server.running():
        verdict.add(judge(server, history, crashes=STOPS))
        state = settled(server, slow)
    assert ("SUCCESS", 2) == (state["status"], state["tasks"]["nap"]["attempt"])
    assert f"{slow}.1 1 end" not in ledger(server), "a step went on without its server"
    if database.driver == "sqlite":
        verdict.add(judge_file(Path(database.path)))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    print(f"a stop took {max(took):.1f} s at most")
    conclude(verdict)


def settled(server: Server, exec_id: str) -> dict[str, Any]:
    """Wait for the end of a run and return it."""
    while True:
        run: dict[str, Any] = server.call("GET", f"/executions/workflows/{exec_id}")
        if run["status"] not in UNFINISHED:
            return run
        time.sleep(0.05)


def test_a_second_request_ends_it_at_once(
    sqlite_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """Who cannot wait says it twice; what was acknowledged is there all the same."""
    server = served(tmp_path, sqlite_settings)
    history = History(tmp_path / "history")
    with server.running() as process:
        begin_slow(server, 30)
        with Load(server, history, seed):
            time.sleep(0.3)
            process.terminate()
            time.sleep(0.3)
            process.terminate()
            assert 128 + signal.SIGTERM == process.wait(AT_ONCE_S)
    with server.running():
        assert [] == judge(server, history, crashes=1).all


def test_a_stop_in_a_backup_leaves_a_whole_one_or_none(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """A backup that is under way is finished, or leaves nothing behind."""
    server = served(tmp_path, sqlite_settings)
    with server.running("env", f"{VARIABLE}=backup.copied:term:1") as process:
        with suppress(OSError):
            server.call("POST", "/backups")
        assert 0 == process.wait(WITHIN_S)
    with server.running():
        for backup in server.call("GET", "/backups")["backups"]:
            server.call("POST", f"/backups/{backup['name']}/verify")
    assert [] == list((tmp_path / "data" / "backups").glob(".*"))


@pytest.mark.parametrize("empty_database", kinds("sqlite"), indirect=True)
def test_a_stop_in_a_migration_is_heeded(empty_database: DatabaseSettings, tmp_path: Path) -> None:
    """The migration under way is finished, then the server ends; the next one starts as always."""
    server = served(tmp_path, empty_database)
    with server.launched("env", f"{VARIABLE}=migration.statement:term:2") as process:
        assert 0 == process.wait(30), server.log
    with server.running():
        server.call("POST", "/users", {"email": "ada@example.org"})


def test_a_stop_that_waits_for_ever_is_caught(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """A server that lets every step end before it does is not in time."""
    server = served(tmp_path, sqlite_settings, sabotage="wait_for_every_step")
    with server.running() as process:
        begin_slow(server, GRACE_S * 8)
        with pytest.raises(TimeoutExpired):
            stop(process, within_s=GRACE_S * 4)
