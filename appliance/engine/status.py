"""The states that a run or a task can be in, as they are stored and shown."""

from __future__ import annotations

from typing import Literal

Status = Literal[
    "PENDING", "RUNNING", "SUCCESS", "FAILED", "TIMED_OUT", "CANCELED", "WAITING", "PAUSED"
]

TERMINAL: frozenset[Status] = frozenset({"SUCCESS", "FAILED", "TIMED_OUT", "CANCELED"})
FAILURES: frozenset[Status] = frozenset({"FAILED", "TIMED_OUT"})
