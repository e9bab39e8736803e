"""A workflow that starts by itself every second, and whether it started once for each of them."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from appliance import clock

from .oracle import Findings, pages
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


def judge_pulse(server: Server, *, every_second: bool = True, patience_s: float = 60.0) -> Findings:
    """Stop the pulse, wait for its runs, and compare them with its ledger.

    *every_second* has a run, unless the clock was set meanwhile: then some were missed.
    """
    server.call("POST", "/schedules/pulse/pause")
    runs = _ended(server, time.monotonic() + patience_s)
    ticks = list(pages(server, "/schedules/pulse/ticks", "ticks"))
    findings = Findings()
    begun = {(_second(tick), tick["exec_id"]) for tick in ticks if tick["exec_id"]}
    seconds = Counter(second for second, _ in begun)
    findings.doubled += [f"tick {tick} began twice" for tick in seconds if seconds[tick] > 1]
    if every_second:
        missing = set(range(min(seconds), max(seconds))) - seconds.keys()
        findings.lost += [f"tick {tick} is missing" for tick in sorted(missing)]
        findings.lost += [f"a tick did not start: {tick}" for tick in ticks if not _started(tick)]
        findings.doubled += [f"{len(ticks)} ticks are told for {len(begun)}"] * (
            len(ticks) > len(begun)
        )
    started = {exec_id for _, exec_id in begun}
    findings.doubled += [f"run {run} has no tick" for run in sorted(runs.keys() - started)]
    findings.lost += [f"run {run} is not there" for run in sorted(started - runs.keys())]
    findings.lost += [f"run {run} is {runs[run]}" for run in runs if runs[run] != "SUCCESS"]
    return findings


def _second(tick: dict[str, Any]) -> int:
    return clock.from_rfc3339(tick["tick"]) // clock.MICROSECONDS


def _started(tick: dict[str, Any]) -> bool:
    return (tick["outcome"], tick["reason"]) == ("started", "")


def _ended(server: Server, deadline: float) -> dict[str, str]:
    """Return the state of each run by its id, once all have ended. What is set aside is resumed."""
    while True:
        listed = pages(server, "/workflows/pulse/executions", "executions")
        runs = {run["workflow_exec_id"]: run["status"] for run in listed}
        if time.monotonic() > deadline or not {"PENDING", "RUNNING", "PAUSED"} & {*runs.values()}:
            return runs
        for run in [run for run, status in runs.items() if status == "PAUSED"]:
            server.call("POST", f"/executions/workflows/{run}/resume")
        time.sleep(0.1)
