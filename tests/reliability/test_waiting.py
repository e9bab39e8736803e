"""Kill the server while runs wait: for a signal, for resume, for a sleep, for another attempt."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings

from .serving import Server

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


def begun(ledger: Path, exec_id: str) -> list[str]:
    """Return the calls of a run that were begun, as `<number of the task> <attempt>`."""
    calls = [line.split() for line in ledger.read_text().splitlines() if " begin " in line]
    return [f"{task[37:]} {attempt}" for task, attempt, *_ in calls if task[:36] == exec_id]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_what_waits_goes_on(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """After kill -9 every run still waits for what it waited for, and nothing is done twice."""
    settings: DatabaseSettings = request.getfixturevalue(f"{database}_settings")
    server = Server(tmp_path, settings)
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
        while "2 1" not in begun(tmp_path / "ledger", patient):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    file.touch()
    with server.running():
        assert "PAUSED" == until(server, paused, "PAUSED", "FAILED", "SUCCESS")["status"]
        command(server, paused, "resume")
        outputs = [until(server, run, "SUCCESS", "FAILED") for run in (waiting, paused, patient)]
    assert ["SUCCESS"] * 3 == [state["status"] for state in outputs]
    ledger = tmp_path / "ledger"
    for exec_id in (waiting, paused):
        assert ["1 1", "3 1", "4 1"] == begun(ledger, exec_id)
    nap, *tries = begun(ledger, patient)
    assert ("1 1", sorted(set(tries))) == (nap, tries), "an attempt began twice"
