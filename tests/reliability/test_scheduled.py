"""Kill the server again and again while a workflow starts by itself every second."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.config import DatabaseSettings

from .serving import PROJECT, Server

PULSE = {
    "id": "pulse",
    "schedule": {"cron": "@every 1s", "overlap_policy": "allow"},
    "tasks": [{"id": "beat", "tool": "echo"}],
}
KILLS = 4


def pages(server: Server, path: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        data = server.call("GET", f"{path}?limit=100{cursor}")
        found += data[key]
        if not data["page"]["next_cursor"]:
            return found
        cursor = f"&cursor={data['page']['next_cursor']}"


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_every_tick_starts_one_run(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each second between the first and the last has one run, also those without a server."""
    settings: DatabaseSettings = request.getfixturevalue(f"{database}_settings")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(PROJECT / "tools.py", project)
    named = {"name": "pulse", "workflows": [{"source": "pulse.yaml"}]}
    (project / "compozy.yaml").write_text(json.dumps(named))
    (project / "pulse.yaml").write_text(json.dumps(PULSE))
    server = Server(tmp_path, settings, project)
    for _ in range(KILLS):
        with server.running():  # leaving is a kill -9
            time.sleep(dice.uniform(0.05, 2.5))
    with server.running():
        time.sleep(1)
        server.call("POST", "/schedules/pulse/pause")
        runs = pages(server, "/workflows/pulse/executions", "executions")
        while any(run["status"] == "RUNNING" for run in runs):
            time.sleep(0.1)
            runs = pages(server, "/workflows/pulse/executions", "executions")
        ticks = pages(server, "/schedules/pulse/ticks", "ticks")
    assert {("started", "")} == {(tick["outcome"], tick["reason"]) for tick in ticks}
    seconds = sorted(clock.from_rfc3339(tick["tick"]) // clock.MICROSECONDS for tick in ticks)
    assert list(range(seconds[0], seconds[-1] + 1)) == seconds
    assert len(seconds) > KILLS
    assert {tick["exec_id"] for tick in ticks} == {run["workflow_exec_id"] for run in runs}
    assert len(ticks) == len(runs)
    assert {"SUCCESS"} == {run["status"] for run in runs}
    begun = [line.split() for line in (tmp_path / "ledger").read_text().splitlines()]
    attempts = [(task, attempt) for task, attempt, what, _ in begun if what == "begin"]
    assert sorted(set(attempts)) == sorted(attempts), "an attempt began twice"
    assert {task[:36] for task, _ in attempts} == {run["workflow_exec_id"] for run in runs}
