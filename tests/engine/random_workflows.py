"""Random workflows of every task type, nested, for the simulated engine."""

from __future__ import annotations

import random
from typing import Any

TOOLS = ("work", "flaky")
SIGNALS = ("red", "green")
STRATEGIES = ("wait_all", "fail_fast", "best_effort", "race")
MEMORY = {"operation": "append", "ref": "notes", "key": "all", "payload": {"x": 1}}
ACCEPTED = "signal.payload.ok == true"


class Generator:
    """Makes one workflow. The same seed makes the same one."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._names = 0

    def workflow(self) -> dict[str, Any]:
        """Return the fields of a workflow in the model's own terms."""
        return {"tasks": self._chain(self._random.randint(1, 6), 0)}

    def _chain(self, length: int, depth: int, *, repeated: bool = False) -> list[dict[str, Any]]:
        """Return tasks of which each leads only to later ones, so that there is no circle."""
        tasks = [self._task(depth) for _ in range(length)]
        if repeated:
            tasks[0]["id"] += "-{{ .index }}"
        for place, task in enumerate(tasks):
            later = [other["id"] for other in tasks[place + 1 :]]
            self._lead(task, later)
        return tasks

    def _lead(self, task: dict[str, Any], later: list[str]) -> None:
        pick = self._random.choice
        if task["type"] == "router":
            task["routes"] = {str(n): pick(later) for n in range(3)} if later else {}
            task["condition"] = pick(["0", "1", "2", "7"])
        elif later:
            task["on_success"] = {"next": later[0]}
        if later and self._chance(0.4):
            task["on_error"] = {"next": pick(later)}
        if later and task["type"] == "wait" and self._chance(0.5):
            task["on_timeout"] = pick(later)

    def _task(self, depth: int) -> dict[str, Any]:
        kinds = ["basic"] * 4 + ["router", "aggregate", "wait", "signal", "memory"]
        kinds += ["parallel", "collection", "composite"] * 2 if depth < 3 else []
        kind = self._random.choice(kinds)
        self._names += 1
        task = {"id": f"t{self._names}", "type": kind, **getattr(self, f"_{kind}")(depth)}
        if self._chance(0.15) and kind != "aggregate":
            task["sleep"] = self._random.choice([0.001, 5.0])
        return task

    def _basic(self, _depth: int) -> dict[str, Any]:
        retry = {"maximum_attempts": self._random.randint(1, 3), "initial_interval": 1.0}
        task = {"tool": self._random.choice(TOOLS), "retry": retry}
        return {**task, "total_timeout": 2.0} if self._chance(0.1) else task

    def _router(self, _depth: int) -> dict[str, Any]:
        return {}

    def _aggregate(self, _depth: int) -> dict[str, Any]:
        return {"outputs": {"broken": "{{ index .input 5 }}"} if self._chance(0.1) else {"x": 1}}

    def _wait(self, depth: int) -> dict[str, Any]:
        task: dict[str, Any] = {"wait_for": self._random.choice(SIGNALS)}
        if self._chance(0.7):
            task["condition"] = ACCEPTED
        if self._chance(0.5):
            task["wait_timeout"] = "1h"
        if self._chance(0.4):
            task["processor"] = self._task(max(depth, 3)) | {"id": f"p{self._names}"}
        return task

    def _signal(self, _depth: int) -> dict[str, Any]:
        return {"signal": {"id": "somebody", "payload": {"n": 1}}}

    def _memory(self, _depth: int) -> dict[str, Any]:
        return {"memory": MEMORY}

    def _parallel(self, depth: int) -> dict[str, Any]:
        members = self._chain(self._random.randint(1, 4), depth + 1)
        return {"tasks": members, **self._bounds()}

    def _composite(self, depth: int) -> dict[str, Any]:
        return {"tasks": self._chain(self._random.randint(0, 3), depth + 1), **self._limit()}

    def _collection(self, depth: int) -> dict[str, Any]:
        first, *others = self._chain(self._random.randint(1, 2), depth + 1, repeated=True)
        return {
            "items": self._random.choice(["1..3", "a..b", [], [1, {"k": 2}], "1..7"]),
            "mode": self._random.choice(["parallel", "sequential"]),
            "batch": self._random.choice([0, 2]),
            "task": first,
            "tasks": others,
            **self._bounds(),
        }

    def _bounds(self) -> dict[str, Any]:
        strategy = self._random.choice(STRATEGIES)
        workers = self._random.choice([0, 0, 1, 2])
        return {"strategy": strategy, "max_workers": workers, **self._limit()}

    def _limit(self) -> dict[str, Any]:
        return {"timeout": self._random.choice([2.0, 3600.0])} if self._chance(0.2) else {}

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
