"""Kill the server again and again while a workflow starts by itself every second."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings

from .oracle import Findings, ledger
from .pulse import beat, judge_pulse, project
from .serving import Server
from .tiers import kinds, sized
from .verdict import Verdict

KILLS = sized(2, 10, 100)


def pulsed(server: Server, seed: str, kills: int) -> Findings:
    """Kill a server whose schedule goes on, and look what became of every second."""
    dice = random.Random(seed)
    with server.running():
        beat(server)
    time.sleep(1)  # a second passes in which no server is there
    for _ in range(kills - 1):
        with server.running():  # leaving is a kill -9
            time.sleep(dice.uniform(0.05, 2.5))
    with server.running():
        found = judge_pulse(server)
    for task, calls in ledger(server.home / "ledger").items():
        if calls != sorted(set(calls)):
            found.doubled.append(f"an attempt of task {task} was called twice: {calls}")
    return found


@pytest.mark.parametrize("database", kinds("postgres"), indirect=True)
def test_every_tick_starts_one_run(
    database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Each second between the first and the last has one run, also those without a server."""
    server = Server(tmp_path, database, project(tmp_path))
    verdict = Verdict(f"Schedule and kill -9, {database.driver}", KILLS)
    verdict.add(pulsed(server, seed, KILLS))
    verdict.recoveries = server.recoveries
    conclude(verdict)


def test_a_schedule_that_starts_over_is_caught(
    sqlite_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """A server that forgets up to when it has dealt with a schedule leaves seconds out."""
    server = Server(tmp_path, sqlite_settings, project(tmp_path), sabotage="forget_ticks")
    assert pulsed(server, seed, kills=1).lost
