"""Kill the server while runs wait: for a signal, for resume, for a sleep, for another attempt."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings

from .oracle import Findings, ledger
from .serving import Server
from .tiers import kinds
from .verdict import Verdict

ANSWER = {"signal_name": "answered", "payload": {"by": "Ada", "yes": True}}


def start(server: Server, workflow: str, **run_input: Any) -> str:
    started = server.call("POST", f"/workflows/{workflow}/executions", {"input": run_input})
    return str(started["exec_id"])


def until(server: Server, exec_id: str, *wanted: str) -> dict[str, Any]:
    for _ in range(600):
        state: dict[str, Any] = server.call("GET", f"/executions/workflows/{exec_id}")
        if state["status"] in wanted:
            return state
        time.sleep(0.05)
    raise AssertionError(state)


def command(server: Server, exec_id: str, name: str, body: Any = None) -> None:
    server.call("POST", f"/executions/workflows/{exec_id}/{name}", body)


def begun(server: Server, exec_id: str) -> dict[str, list[int]]:
    """Return the attempts that were begun of a run, by the number of the task."""
    calls = ledger(server.home / "ledger").items()
    return {task[37:]: attempts for task, attempts in calls if task[:36] == exec_id}


def judge_calls(server: Server, answered: list[str], patient: str) -> Findings:
    """Look whether every task was called as often as it had to be."""
    findings = Findings()
    for exec_id in answered:
        if begun(server, exec_id) != {"1": [1], "3": [1], "4": [1]}:
            findings.doubled.append(f"run {exec_id} called {begun(server, exec_id)}")
    nap, tries = begun(server, patient)["1"], begun(server, patient)["2"]
    if nap != [1] or tries != sorted(set(tries)):
        findings.doubled.append(f"run {patient} called {begun(server, patient)}")
    return findings


@pytest.mark.parametrize("database", kinds("postgres"), indirect=True)
def test_what_waits_goes_on(
    database: DatabaseSettings, tmp_path: Path, conclude: Callable[[Verdict], None]
) -> None:
    """After kill -9 every run still waits for what it waited for, and nothing is done twice."""
    server = Server(tmp_path, database)
    verdict = Verdict(f"Waits and kill -9, {database.driver}", faults=2)
    file = tmp_path / "there"
    with server.running() as process:
        waiting, paused = (start(server, "approval", question="now?") for _ in range(2))
        patient = start(server, "patient", file=str(file))
        for exec_id in (waiting, paused):
            until(server, exec_id, "WAITING")
        command(server, paused, "pause")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server.running() as process:
        assert "WAITING" == until(server, waiting, "WAITING", "FAILED", "SUCCESS")["status"]
        command(server, paused, "signals", ANSWER)
        command(server, waiting, "signals", ANSWER)
        until(server, waiting, "SUCCESS")
        while "2" not in begun(server, patient):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    file.touch()
    with server.running():
        assert "PAUSED" == until(server, paused, "PAUSED", "FAILED", "SUCCESS")["status"]
        command(server, paused, "resume")
        outputs = [until(server, run, "SUCCESS", "FAILED") for run in (waiting, paused, patient)]
    assert ["SUCCESS"] * 3 == [state["status"] for state in outputs]
    verdict.add(judge_calls(server, [waiting, paused], patient))
    verdict.recoveries = server.recoveries
    conclude(verdict)
