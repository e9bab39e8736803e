"""Pause, resume and retry, in a simulated world."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.engine import history

from .simulation import Simulation, ToolError, program

ONCE = {"maximum_attempts": 1}


def chain(*names: str) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "tool": "work",
            "with": {"name": name},
            "retry": ONCE,
            "on_success": {"next": following},
        }
        for name, following in zip(names, [*names[1:], None], strict=True)
    ]


class Work:
    """A tool that fails for the names in `broken`, and notes what it did."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.done: list[str] = []

    def __call__(self, name: str) -> dict[str, Any]:
        if name in self.broken:
            raise ToolError(f"{name} is broken")
        self.done.append(name)
        return {"name": name}


@pytest.mark.parametrize("crash", [False, True])
def test_a_paused_run_begins_nothing_new(crash: bool) -> None:
    """What is under way ends and is kept; what follows begins when the run resumes."""
    work = Work()
    simulation = Simulation(program(tasks=chain("a", "b")), {"work": work}).start()
    simulation.pause()
    assert simulation.step()
    assert ("PAUSED", ["a"]) == (simulation.run.status, work.done)
    assert not simulation.calls
    assert "PENDING" == simulation.task("b").status
    if crash:
        simulation.crash()
    simulation.resume()
    while simulation.step():
        pass
    assert ("SUCCESS", ["a", "b"]) == (simulation.run.status, work.done)


def test_a_call_that_was_cut_off_waits_for_resume() -> None:
    """After a crash a paused run stays as quiet as before it."""
    work = Work()
    simulation = Simulation(program(tasks=chain("a")), {"work": work}).start()
    simulation.pause()
    simulation.crash()
    assert not simulation.calls
    simulation.resume()
    assert {1: 2} == simulation.calls, "the same task, its second attempt"
    simulation.step()
    assert "SUCCESS" == simulation.run.status


def test_time_stands_still_for_a_paused_run() -> None:
    """A sleep that ends meanwhile is noticed when the run resumes."""
    tasks = [{**chain("a")[0], "sleep": 5.0}]
    simulation = Simulation(program(tasks=tasks), {"work": Work()}).start()
    simulation.pause()
    assert simulation.step()
    assert "PENDING" == simulation.task("a").status
    simulation.resume()
    while simulation.step():
        pass
    assert "SUCCESS" == simulation.run.status


def test_a_group_respects_its_bound_after_resume() -> None:
    """A pause does not let more children run at once than `max_workers` says."""
    child = {"id": "c-{{ .index }}", "tool": "work", "with": {"name": "{{ .item }}"}}
    group = {"id": "all", "type": "collection", "items": "1..20", "max_workers": 3, "task": child}
    simulation = Simulation(program(tasks=[group]), {"work": lambda name: {"n": name}}).start()
    for _ in range(5):
        simulation.step()
        simulation.pause()
        simulation.step()
        simulation.crash()
        simulation.resume()
    while simulation.step():
        pass
    assert ("SUCCESS", 3) == (simulation.run.status, simulation.most_calls)
    assert 20 == len(simulation.run.by_id["all"].children)


def test_retry_goes_on_from_the_task_that_failed() -> None:
    """What has succeeded is not done again; the task keeps its id and gets another attempt."""
    work = Work("b")
    simulation = Simulation(program(tasks=chain("a", "b", "c")), {"work": work}).finish()
    assert ("FAILED", ["a"]) == (simulation.run.status, work.done)
    work.broken.clear()
    simulation.retry()
    simulation.crash()
    while simulation.step():
        pass
    assert ("SUCCESS", ["a", "b", "c"]) == (simulation.run.status, work.done)
    assert ("b", 3) in simulation.called, (
        "the retry was the second attempt, after the crash the third"
    )


def test_retry_repeats_only_what_failed_in_a_group() -> None:
    """Of a collection the failed items run again, within its bound."""
    child = {
        "id": "c-{{ .item }}",
        "tool": "work",
        "with": {"name": "{{ .item }}"},
        "retry": ONCE,
    }
    group = {
        "id": "all",
        "type": "collection",
        "items": "a..f",
        "mode": "sequential",
        "task": child,
    }
    work = Work("b", "e")
    simulation = Simulation(program(tasks=[group]), {"work": work}).finish()
    assert "FAILED" == simulation.run.status
    work.broken.clear()
    simulation.retry()
    assert 1 == len(simulation.calls)
    while simulation.step():
        pass
    assert ("SUCCESS", 1) == (simulation.run.status, simulation.most_calls)
    assert ["a", "c", "d", "f", "b", "e"] == work.done


def test_a_canceled_run_can_be_retried() -> None:
    """What was cut off by a cancel begins again, however deep it was."""
    inner = {"id": "inner", "type": "composite", "tasks": chain("a", "b")}
    outer = {"id": "outer", "type": "parallel", "tasks": [inner, *chain("c")]}
    work = Work()
    simulation = Simulation(program(tasks=[outer]), {"work": work}, seed=1).start()
    simulation.step()
    simulation.cancel()
    simulation.retry()
    while simulation.step():
        pass
    assert "SUCCESS" == simulation.run.status
    assert ["a", "b", "c"] == sorted(work.done)


def test_the_history_is_the_same_from_the_rows() -> None:
    """Whoever comes back later is told what whoever stayed was told."""
    work = Work("b")
    simulation = Simulation(program(tasks=chain("a", "b")), {"work": work}).finish()
    rows: list[Any] = list(simulation.task_rows.values())
    row: Any = simulation.run_row
    assert simulation.events == history.replay(row, rows)
    assert simulation.events[3:] == history.replay(row, rows, after=3)
    assert [*range(1, len(simulation.events) + 1)] == [e.number for e in simulation.events]
    assert ("workflow_start", "complete") == (
        simulation.events[0].event,
        simulation.events[-1].event,
    )
