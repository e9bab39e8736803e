"""Kill the server at random moments; the oracle is a ledger that only the tools write."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings

from .serving import Server

CRASHES = 4
RUNS = 12
TWELVE = {"names": ["Ada", "Grace", "Edsger"], "pause": 0.05}
OUTPUT = {
    "summary": {"count": 3, "sides": "left-right", "route": "high"},
    "people": ["person-0", "person-1", "person-2"],
}


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_nothing_is_lost_or_done_twice(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every accepted run ends well; what was stored as finished is never called again.

    The last call of a task that the ledger knows is the attempt that was stored as finished.
    """
    settings: DatabaseSettings = request.getfixturevalue(f"{database}_settings")
    seed = int(os.environ.get("RELIABILITY_SEED", random.randrange(2**32)))
    print(f"seed {seed}: set RELIABILITY_SEED to repeat")
    dice = random.Random(seed)
    server = Server(tmp_path, settings)
    accepted: set[str] = set()
    for crash in range(CRASHES):
        with server.running() as process:
            for number in range(RUNS):
                found = _begin(server, f"{crash}-{number}")
                if found is not None:
                    accepted.add(found)
            time.sleep(dice.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
            process.wait()
    with server.running():
        states = [_finished(server, exec_id) for exec_id in sorted(accepted)]

    assert CRASHES * RUNS == len(accepted)
    assert {"SUCCESS"} == {state["status"] for state in states}
    assert all(state["output"] == OUTPUT for state in states)
    called = _calls(tmp_path / "ledger")
    assert {task: max(attempts) for task, attempts in called.items()} == {
        task: attempt for state in states for task, attempt in _attempts(state["tasks"])
    }
    assert all(attempts == sorted(set(attempts)) for attempts in called.values())
    assert max(len(attempts) for attempts in called.values()) <= CRASHES + 1


def _begin(server: Server, key: str) -> str | None:
    """Ask for a run; None when the server died before it answered."""
    try:
        path = "/workflows/twelve/executions"
        answer = server.call("POST", path, {"input": TWELVE}, **{"Idempotency-Key": key})
    except OSError:
        return None
    return str(answer["exec_id"])


def _finished(server: Server, exec_id: str) -> dict[str, Any]:
    for _ in range(600):
        state: dict[str, Any] = server.call("GET", f"/executions/workflows/{exec_id}")
        if state["status"] not in ("PENDING", "RUNNING"):
            return state
        time.sleep(0.05)
    raise AssertionError(state)


def _calls(ledger: Path) -> dict[str, list[int]]:
    """Return the attempts of every task that was called, in the order of the calls."""
    calls: dict[str, list[int]] = {}
    for line in ledger.read_text().splitlines():
        task, attempt, what, _ = line.split()
        if what == "begin":
            calls.setdefault(task, []).append(int(attempt))
    return calls


def _attempts(tasks: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield every tool task of a tree with the attempt that was stored as its last."""
    for task in tasks.values():
        if task["type"] == "basic":
            yield task["task_exec_id"], task["attempt"]
        yield from _attempts(task["children"])
