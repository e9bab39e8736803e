"""A1: kill -9 at random moments while writes of every kind are asked for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from appliance.config import DatabaseSettings

from .history import History, Outcome
from .load import Load
from .oracle import Findings, judge, judge_file
from .serving import Server
from .tiers import sized
from .verdict import Verdict

CRASHES = sized(3, 100, 1000)


def crashed(
    server: Server, history: History, seed: str, crashes: int, patience_s: float = 60.0
) -> Findings:
    """Kill the server again and again, and compare at the end what it holds with what it said."""
    dice = random.Random(seed)
    for number in range(crashes):
        with server.running() as process, Load(server, history, f"{seed}-{number}"):
            time.sleep(dice.uniform(0.02, 0.6))
            process.kill()
    with server.running():
        found = judge(server, history, crashes, patience_s)
    with server.running() as process:
        again = judge(server, history, crashes, patience_s)
        process.terminate()
        assert 0 == process.wait(30)
    return Findings(
        found.lost + again.lost, found.doubled + again.doubled, found.corrupt + again.corrupt
    )


def test_nothing_acknowledged_is_lost(
    database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Whenever the process dies: what was acknowledged is there once, and every run ends well."""
    server = Server(tmp_path, database)
    verdict = Verdict(f"A1 kill -9, {database.driver}", CRASHES)
    history = History(tmp_path / "history")
    verdict.add(crashed(server, history, seed, CRASHES))
    if database.driver == "sqlite":
        verdict.add(judge_file(Path(database.path)))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    assert verdict.acknowledged > CRASHES
    conclude(verdict)


def test_a_server_that_answers_too_early_is_caught(
    sqlite_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """The scenario finds losses in a server that acknowledges before it has committed."""
    server = Server(tmp_path, sqlite_settings, sabotage="acknowledge_before_commit")
    history = History(tmp_path / "history")
    rounds = (crashed(server, history, f"{seed}-{number}", 2, patience_s=2) for number in range(5))
    assert any(found.lost for found in rounds)  # most often in the first
