"""A workflow that starts by itself every second, and whether it started once for each of them."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from appliance import clock

from .oracle import UNFINISHED, Findings, pages
from .serving import PROJECT, Server

_PULSE = {
    "id": "pulse",
    "schedule": {"cron": "@every 1s", "overlap_policy": "allow"},
    "tasks": [{"id": "beat", "tool": "echo"}],
}


def project(directory: Path) -> Path:
    """Make a project in *directory*: that of the engine's tests, with the pulse; return where it is."""
    made = directory / "project"
    shutil.copytree(PROJECT, made)
    (made / "pulse.yaml").write_text(json.dumps(_PULSE))
    config = made / "compozy.yaml"
    sources = "workflows:\n"
    config.write_text(config.read_text().replace(sources, f"{sources}  - source: ./pulse.yaml\n"))
    return made


def beat(server: Server, within_s: float = 10.0) -> None:
    """Wait until the schedule has started one run more."""
    path, deadline = "/schedules/pulse/ticks", time.monotonic() + within_s
    before = len(list(pages(server, path, "ticks")))
    while len(list(pages(server, path, "ticks"))) == before:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)


def judge_pulse(server: Server, *, every_second: bool = True, patience_s: float = 60.0) -> Findings:
    """Stop the pulse, wait for its runs, and compare them with the seconds and with its ledger.

    *every_second* has a run, unless the clock was set meanwhile: then some were missed.
    """
    if every_second:
        beat(server)
    server.call("POST", "/schedules/pulse/pause")
    runs = _ended(server, time.monotonic() + patience_s)
    ticks = list(pages(server, "/schedules/pulse/ticks", "ticks"))
    told = {tick["exec_id"] for tick in ticks} - {None}
    findings = Findings()
    seconds = Counter(_second(run["origin"]["tick"]) for run in runs.values())
    findings.doubled += [f"tick {tick} began twice" for tick in seconds if seconds[tick] > 1]
    findings.lost += [f"run {run} is not there" for run in sorted(told - runs.keys())]
    findings.lost += [f"{run} did not succeed" for run in runs.values() if not _succeeded(run)]
    if every_second:
        missing = set(range(min(seconds), max(seconds))) - seconds.keys()
        findings.lost += [f"tick {tick} is missing" for tick in sorted(missing)]
        findings.lost += [f"a tick did not start: {tick}" for tick in ticks if not _started(tick)]
        findings.doubled += ["a tick is told twice"] * (len(ticks) > len(told))
    return findings


def _second(moment: str) -> int:
    return clock.from_rfc3339(moment) // clock.MICROSECONDS


def _started(tick: dict[str, Any]) -> bool:
    return (tick["outcome"], tick["reason"]) == ("started", "")


def _succeeded(run: dict[str, Any]) -> bool:
    return bool(run["status"] == "SUCCESS")


def _ended(server: Server, deadline: float) -> dict[str, dict[str, Any]]:
    """Return each run by its id, once all have ended. What is set aside is resumed."""
    while True:
        listed = pages(server, "/workflows/pulse/executions", "executions")
        runs = {run["workflow_exec_id"]: run for run in listed}
        open_ = [run for run in runs.values() if run["status"] in UNFINISHED]
        if time.monotonic() > deadline or not open_:
            return runs
        for run in open_:
            if run["status"] == "PAUSED":
                server.call("POST", f"/executions/workflows/{run['workflow_exec_id']}/resume")
        time.sleep(0.1)
