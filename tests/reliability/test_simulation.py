"""A24: the engine in a world without time, disk or processes, under whatever can be done to a run."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from appliance.engine import reducer
from appliance.engine.changes import Event, Recover, Succeeded
from appliance.engine.program import CALLS
from appliance.engine.step import Step
from tests.engine.adversary import torment

from .oracle import Findings
from .tiers import sized
from .verdict import Verdict

STEPS = sized(5_000, 100_000, 10_000_000)
ENOUGH = 10**6
"""Seeds at most; each is a run of some hundred steps."""


def tormented(seed: int, steps: int) -> tuple[int, str, list[str]]:
    """Torment runs from *seed* on. Return the steps, what broke a rule, and what was printed then."""
    told: list[str] = []
    try:
        return torment(range(seed, seed + ENOUGH), steps, told.append), "", told
    except (AssertionError, RecursionError) as error:
        return 0, repr(error).partition("\n")[0], told


def test_no_rule_is_broken(seed: str, conclude: Callable[[Verdict], None]) -> None:
    """No task completes twice, no run ends before its children, every run ends or waits by name."""
    steps, broken, told = tormented(int(seed), STEPS)
    found = Findings(corrupt=[f"{told}: {broken}"] if broken else [])
    conclude(Verdict("A24 simulated engine", faults=steps, findings=found))


def take_every_result(step: Step, event: Succeeded) -> None:
    """Take also the result of an attempt that was given up, and of a task that has ended."""
    step.succeed(step.run.task(event.seq), event.output, event.output)


def repeat_attempts(step: Step, _: Recover) -> None:
    """Call again what was cut off, as the same attempt."""
    for task in step.run.tasks:
        if task.status == "RUNNING" and task.node.type in CALLS:
            step.call(task)


@pytest.mark.parametrize(
    ("event", "broken"), [(Succeeded, take_every_result), (Recover, repeat_attempts)]
)
def test_a_broken_rule_is_caught(
    monkeypatch: pytest.MonkeyPatch, seed: str, event: type[Event], broken: Callable[..., None]
) -> None:
    """A reducer with one rule broken is found out, and the seed that is told repeats it."""
    monkeypatch.setitem(reducer._HANDLERS, event, broken)
    _, first, told = tormented(int(seed), 20_000)
    assert first
    found = re.match(r"seed (\d+) after", told[0])
    assert found is not None
    assert (0, first, told) == tormented(int(found[1]), 20_000)
