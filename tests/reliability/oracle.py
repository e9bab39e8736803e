"""Whether a server kept its word: what it holds after a fault against what it had said before.

The rules, for every write that was asked for:
- what was acknowledged is there, with its value;
- what was refused is not there;
- what was left open is there or not, and stays so (looking settles it for the next look);
- a run ends well, and no task of it is called again once it was stored as finished;
- the file of the database is sound.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from .history import History, Outcome
from .load import ANSWER, DEFINITION, NOTE, RUN, USER
from .serving import Server

UNFINISHED = ("PENDING", "RUNNING", "WAITING", "PAUSED")


class Findings(msgspec.Struct):
    """What is wrong, in sentences; three empty lists when nothing is."""

    lost: list[str] = []
    doubled: list[str] = []
    corrupt: list[str] = []

    @property
    def all(self) -> list[str]:
        """Return every sentence."""
        return self.lost + self.doubled + self.corrupt


def judge(
    server: Server,
    history: History,
    crashes: int,
    patience_s: float = 60.0,
    *,
    in_order: bool = True,
) -> Findings:
    """Compare what a running server holds with what it said. Open writes are settled by this.

    Every run has ended *patience_s* seconds from now, or it is lost. Attempts are called *in_order*,
    unless a server was halted: a call that was on its way comes when it goes on.
    """
    findings = Findings()
    deadline = time.monotonic() + patience_s
    runs = _ended(server, "twelve", deadline)
    compare(findings, history, RUN, Counter(run["input"]["names"][0] for run in runs))
    compare(findings, history, NOTE, Counter(_notes(server, history)))
    compare(findings, history, USER, Counter(user["email"] for user in _users(server)))
    compare(findings, history, DEFINITION, Counter(_definitions(server)))
    answered = _ended(server, "approval", deadline, lambda run: _answered(server, history, run))
    compare(findings, history, ANSWER, Counter(run["workflow_exec_id"] for run in answered))
    for run in runs:
        _judge_run(findings, run, len(run["input"]["names"]))
    calls = ledger(server.home / "ledger")
    for task, attempt in attempts([*runs, *answered]):
        called = calls.get(task, [])
        _judge_calls(findings, task, attempt, called if in_order else sorted(called), crashes)
    return findings


def judge_file(path: Path) -> Findings:
    """Look into the database file of a server that has stopped."""
    findings = Findings()
    with closing(sqlite3.connect(path)) as connection:
        for pragma in ("integrity_check", "foreign_key_check"):
            rows = connection.execute(f"PRAGMA {pragma}").fetchall()
            findings.corrupt += [f"{pragma}: {row}" for row in rows if row != ("ok",)]
    return findings


def pages(server: Server, path: str, key: str) -> Iterator[dict[str, Any]]:
    """Yield every entry of a listing."""
    joint, cursor = "&" if "?" in path else "?", ""
    while True:
        data = server.call("GET", f"{path}{joint}limit=500{cursor}")
        yield from data[key]
        if not data["page"]["next_cursor"]:
            return
        cursor = f"&cursor={data['page']['next_cursor']}"


def attempts(runs: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Yield every task of runs that called a tool, with the attempt that was stored as its last."""
    for run in runs:
        for task in (run.get("tasks") or run.get("children") or {}).values():
            if task["type"] == "basic":
                yield task["task_exec_id"], task["attempt"]
            yield from attempts([task])


def ledger(path: Path) -> dict[str, list[int]]:
    """Return the attempts of every task that was called, in the order of the calls."""
    calls: dict[str, list[int]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        task, attempt, what, _ = line.split()
        if what == "begin":
            calls.setdefault(task, []).append(int(attempt))
    return calls


def compare(findings: Findings, history: History, kind: str, found: Counter[str]) -> None:
    """Compare what is *found* of a kind with what was said of it; open writes are settled by this."""
    known = {write.name: write for write in history.of(kind)}
    for name, write in known.items():
        if write.outcome is Outcome.UNKNOWN:
            write.outcome = Outcome.OK if found[name] else Outcome.FAIL
        elif write.outcome is Outcome.OK and not found[name]:
            findings.lost.append(f"{kind} {name} was acknowledged and is gone")
        elif write.outcome is Outcome.FAIL and found[name]:
            findings.corrupt.append(f"{kind} {name} was refused ({write.answer}) and is there")
    findings.doubled += [f"{kind} {name} is there twice" for name in found if found[name] > 1]


def _judge_run(findings: Findings, run: dict[str, Any], people: int) -> None:
    wanted = {
        "summary": {"count": people, "sides": "left-right", "route": "high"},
        "people": [f"person-{number}" for number in range(people)],
    }
    if run["status"] != "SUCCESS":
        findings.lost.append(f"run {run['workflow_exec_id']} is {run['status']}: {run['error']}")
    elif run["output"] != wanted:
        findings.corrupt.append(f"run {run['workflow_exec_id']} has the output {run['output']}")


def _judge_calls(
    findings: Findings, task: str, attempt: int, calls: list[int], crashes: int
) -> None:
    """The call that the ledger has last is the one that was stored as finished."""
    if calls != sorted(set(calls)):
        findings.doubled.append(f"an attempt of task {task} was called twice: {calls}")
    elif not calls or calls[-1] < attempt:
        findings.corrupt.append(f"task {task} finished as {attempt}, the ledger has {calls}")
    elif calls[-1] > attempt:
        findings.doubled.append(f"task {task} finished as {attempt} and was called again: {calls}")
    elif len(calls) > crashes + 1:
        findings.doubled.append(f"task {task} was called {len(calls)} times in {crashes} crashes")


def _ended(
    server: Server,
    workflow: str,
    deadline: float,
    among: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> list[dict[str, Any]]:
    """Return the runs of a workflow in full, once they have ended. What is set aside is resumed."""
    path = f"/executions/workflows?workflow_id={workflow}"
    listed = [run for run in pages(server, path, "executions") if among(run)]
    return [_end(server, run["workflow_exec_id"], deadline) for run in listed]


def _end(server: Server, exec_id: str, deadline: float) -> dict[str, Any]:
    while True:
        run: dict[str, Any] = server.call("GET", f"/executions/workflows/{exec_id}")
        if run["status"] not in UNFINISHED or time.monotonic() > deadline:
            return run
        if run["status"] == "PAUSED":
            server.call("POST", f"/executions/workflows/{exec_id}/resume")
        time.sleep(0.02)


def _answered(server: Server, history: History, run: dict[str, Any]) -> bool:
    """Whether a run has the answer it waits for; where that is open, it does not wait any more."""
    exec_id = run["workflow_exec_id"]
    outcome = next((write.outcome for write in history.of(ANSWER) if write.name == exec_id), None)
    while outcome is Outcome.UNKNOWN and run["status"] in ("PENDING", "RUNNING"):
        time.sleep(0.02)
        run = server.call("GET", f"/executions/workflows/{exec_id}")
    return outcome is Outcome.OK or (outcome is Outcome.UNKNOWN and run["status"] != "WAITING")


def _notes(server: Server, history: History) -> Iterator[str]:
    lanes = {write.name.rpartition("-")[0] for write in history.of(NOTE)}
    for lane in sorted(lanes):
        offset = 0
        while messages := server.call(
            "GET", f"/memory/notes/read?key={lane}&limit=1000&offset={offset}"
        )["messages"]:
            yield from (message["content"] for message in messages)
            offset += len(messages)


def _users(server: Server) -> Iterator[dict[str, Any]]:
    return pages(server, "/users", "users")


def _definitions(server: Server) -> Iterator[str]:
    return (found["id"] for found in pages(server, "/workflows", "workflows"))
