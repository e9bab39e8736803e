"""A14: the wall clock jumps, and the process is halted for a while, while work is under way."""

from __future__ import annotations

import os
import random
import signal
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import clock
from appliance.config import DatabaseSettings

from .history import History, Outcome
from .load import RUN, Load
from .oracle import Findings, judge, pages
from .pulse import judge_pulse, project
from .serving import Server
from .tiers import kinds, sized
from .verdict import Verdict
from .wall_clock import WallClock

HOUR, DAY = 3600, 24 * 3600
IN_2038 = (2**31 + HOUR) - time.time()
ROUNDS = sized(1, 3, 20)
JUMPS = [HOUR, 0, -HOUR, DAY, -DAY, 0, *(-10 * number for number in range(1, 6)), 0]
"""Seconds by which the clock is ahead, one after the other; at the end it is right again."""

NAP_S, RETRY_S = 3, 2
"""What the workflow `patient` sleeps, and waits between two attempts."""


def begin(server: Server, workflow: str, **run_input: str) -> str:
    """Begin a run and return its id."""
    path = f"/workflows/{workflow}/executions"
    return str(server.call("POST", path, {"input": run_input})["exec_id"])


def status(server: Server, exec_id: str) -> str:
    """Return the state of a run."""
    return str(server.call("GET", f"/executions/workflows/{exec_id}")["status"])


def halt(pid: int) -> None:
    """Stop a process for a moment, as when a machine is suspended."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(pid, signal.SIGCONT)


def jump_about(server: Server, wall: WallClock, seed: str) -> None:
    """Set the clock to and fro; before it goes on, the pulse has to beat."""
    dice = random.Random(seed)
    for ahead in JUMPS:
        wall.set(ahead)
        time.sleep(dice.uniform(0.1, 0.4))
        if ahead % HOUR == 0:
            await_pulse(server)


def await_pulse(server: Server) -> None:
    """Wait until the schedule has started another run."""
    path = "/workflows/pulse/executions"
    before = {run["workflow_exec_id"] for run in pages(server, path, "executions")}
    deadline = time.monotonic() + 30
    while before >= {run["workflow_exec_id"] for run in pages(server, path, "executions")}:
        assert time.monotonic() < deadline, "the schedule has stopped"
        time.sleep(0.1)


def attempts(server: Server, exec_id: str, task: int) -> int:
    """Return how many attempts of a task were begun."""
    lines = (server.home / "ledger").read_text().splitlines()
    return sum(line.startswith(f"{exec_id}.{task} ") and " begin " in line for line in lines)


def judge_order(history: History) -> Findings:
    """Compare the ids of runs with the order in which each client was told of them."""
    findings, last = Findings(), dict[str, str]()
    for write in history.of(RUN):
        lane, exec_id = write.name.rpartition("-")[0], write.answer and write.answer["exec_id"]
        if write.outcome is Outcome.OK and exec_id <= last.get(lane, ""):
            findings.corrupt.append(f"run {exec_id} began after {last[lane]}")
        last[lane] = exec_id or last.get(lane, "")
    return findings


@pytest.mark.parametrize("database", kinds("sqlite"), indirect=True)
def test_no_timer_goes_by_the_wall_clock(
    database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Naps, retries and waits take their time, a tick starts once, and nothing is lost."""
    wall = WallClock(tmp_path)
    server = Server(tmp_path, database, project(tmp_path))
    history = History(tmp_path / "history")
    verdict = Verdict(f"A14 clock jumps, {database.driver}", ROUNDS * (len(JUMPS) + 2))
    file = tmp_path / "there"
    with server.running(*wall.command) as process:
        waiting = begin(server, "approval", question="Is it time?")
        patient, begun = begin(server, "patient", file=str(file)), time.monotonic()
        wall.set(DAY)
        time.sleep(NAP_S - 1)
        assert 0 == attempts(server, patient, 1), "a nap was cut short"
        with Load(server, history, seed):
            for number in range(ROUNDS):
                jump_about(server, wall, f"{seed}-{number}")
                halt(process.pid)
        elapsed = time.monotonic() - begun - NAP_S
        tried = attempts(server, patient, 2)
        assert elapsed / RETRY_S / 2 - 2 < tried <= elapsed / RETRY_S + 1
        file.touch()
        assert "WAITING" == status(server, waiting)
        verdict.add(judge(server, history, crashes=0))
        verdict.add(judge_order(history))
        verdict.add(judge_pulse(server, every_second=False))
        assert "SUCCESS" == until_ended(server, patient)
    verdict.acknowledged = history.count(Outcome.OK)
    conclude(verdict)


def until_ended(server: Server, exec_id: str) -> str:
    """Wait for the end of a run and return how it ended."""
    deadline = time.monotonic() + 10
    while (found := status(server, exec_id)) == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_a_clock_that_was_decades_ahead_is_forgotten(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """After 2038 and back, keys count again and runs are found by their time, without a restart."""
    wall = WallClock(tmp_path)
    server = Server(tmp_path, sqlite_settings, project(tmp_path))
    with server.running(*wall.command):
        in_an_hour = clock.to_rfc3339(clock.now_us() + HOUR * clock.MICROSECONDS)
        key = server.call("POST", "/auth/generate", {"expires_at": in_an_hour})["api_key"]
        wall.set(IN_2038)
        assert not accepts(server, key)
        begin(server, "approval", question="Is it time?")
        await_pulse(server)
        wall.set(0)
        assert accepts(server, key)
        await_pulse(server)
        now_us = clock.now_us()
        exec_id = begin(server, "approval", question="Is it still time?")
        begin_, end = (clock.to_rfc3339(now_us + s * clock.MICROSECONDS) for s in (-1, 60))
        path = f"/executions/workflows?workflow_id=approval&since={begin_}&until={end}"
        found = pages(server, path, "executions")
        assert [exec_id] == [run["workflow_exec_id"] for run in found]


def accepts(server: Server, key: str) -> bool:
    """Whether the server takes a key."""
    try:
        server.call("GET", "/auth/me", Authorization=f"Bearer {key}")
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code != 401
    return True


def test_a_timer_that_goes_by_the_wall_clock_is_caught(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """A server that looks at the wall clock to see whether a nap is over cuts it short."""
    wall = WallClock(tmp_path)
    server = Server(tmp_path, sqlite_settings, sabotage="sleep_by_the_wall_clock")
    with server.running(*wall.command):
        patient = begin(server, "patient", file=str(tmp_path / "there"))
        wall.set(DAY)
        time.sleep(NAP_S - 1)
        assert 1 == attempts(server, patient, 1)
