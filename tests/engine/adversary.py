"""Somebody who does to a simulated run whatever can be done, and looks whether the rules hold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from appliance.engine import groups, history
from appliance.engine.changes import Event, Failed, Retry, Succeeded, TimerFired
from appliance.engine.program import CALLS, GROUPS
from appliance.engine.run import TaskState
from appliance.engine.status import TERMINAL

from .random_workflows import SIGNALS, Generator
from .simulation import Simulation, program, shape

CRASHES, RETRIES, RELOADS = 0.03, 3, 0.1


class Adversary(Simulation):
    """A run of a random workflow under random failures, commands and crashes; seeded."""

    def __init__(self, seed: int) -> None:
        super().__init__(program(**Generator(seed).workflow()), {}, seed=seed)
        self.steps = 0
        self.retried = 0
        self.stale: list[Event] = []
        self.ended: dict[int, str] = {}
        """How each task ended, by number: what must never change but by a retry."""
        self.begun: Counter[tuple[int, int]] = Counter()

    def torment(self, most: int) -> None:
        """Do things until the run has ended, or *most* of them are done; then check the rest."""
        self.start()
        while self.steps < most and self._act():
            pass
        self._calm_down()
        self._check_end()

    def _act(self) -> bool:
        """Do one thing; False when the run has ended for good."""
        self.steps += 1
        if self.run.ended:
            return self._retry_run()
        pick = self.random.random()
        if pick < CRASHES:
            self.crash(once_more=self.random.random() < 0.1)
        elif pick < 0.05:
            self.random.choice([self.pause, self.resume, self.resume])()
        elif pick < 0.052:
            self.cancel()
        elif pick < 0.07 and self.stale:
            self.deliver(self.random.choice(self.stale))
        elif pick < 0.15:
            self.signal(self.random.choice(SIGNALS), {"ok": self.random.random() < 0.5})
        elif not self.step() and not self._wake():
            return self.run.status == "PAUSED"
        return True

    def _wake(self) -> bool:
        """Send what a run that only waits is waiting for; False when it waits for nothing."""
        if self.run.status == "PAUSED":
            self.resume()
        elif self.run.waiting:
            task = self.run.task(self.random.choice(sorted(self.run.waiting)))
            self.signal(task.input["wait_for"], {"ok": True})
        else:
            return False
        return True

    def _retry_run(self) -> bool:
        if self.run.status == "SUCCESS" or self.retried >= RETRIES or self.random.random() < 0.5:
            return False
        self.retried += 1
        self.retry()
        return True

    def _calm_down(self) -> None:
        """Let everything end that can end by itself."""
        if self.run.status == "PAUSED":
            self.resume()
        for _ in range(100_000):
            self.steps += 1
            if not self.step():
                return
        raise AssertionError("the run goes on for ever")

    # -- what is done ---------------------------------------------------------------------------

    def end_call(self, task: TaskState) -> None:
        """Let a call end well or badly. What was said may be said again later."""
        attempt = self.calls.pop(task.seq)
        self.deliver(self._answer(task, attempt))

    def fire(self, task: TaskState) -> None:
        """Let a time come, now and then a second time."""
        self.stale.append(TimerFired(self.now_us, task.seq, self.timers[task.seq]))
        super().fire(task)

    def _answer(self, task: TaskState, attempt: int) -> Event:
        pick = self.random.random()
        error = {"code": "TOOL_ERROR", "message": "boom", "details": {}}
        event: Event
        if pick < 0.12:
            event = Failed(self.now_us, task.seq, attempt, error, retryable=pick < 0.1)
        elif pick < 0.18:
            event = Succeeded(self.now_us, task.seq, attempt, {"error": "refused"})
        else:
            event = Succeeded(self.now_us, task.seq, attempt, {"n": attempt})
        self.stale = [*self.stale[-5:], event]
        return event

    # -- what must hold -------------------------------------------------------------------------

    def deliver(self, event: Event) -> None:
        """Let *event* happen and look at what it did."""
        before = dict(self.calls)
        self.reloads = self.random.random() < RELOADS or isinstance(event, Retry)
        super().deliver(event)
        if isinstance(event, Retry):
            self.ended = {seq: s for seq, s in self.ended.items() if s == "SUCCESS"}
        self._check_tasks()
        self._check_calls(before)
        if self.run.ended:
            self._check_stopped()

    def _check_tasks(self) -> None:
        for seq in self.touched:
            task = self.run.task(seq)
            if seq in self.ended:
                assert self.ended[seq] == task.status, f"task {task.task_id} ended twice"
            elif task.status in TERMINAL:
                self.ended[seq] = task.status
            if task.node.type in GROUPS and task.status == "RUNNING":
                _check_bound(task)

    def _check_calls(self, before: dict[int, int]) -> None:
        for seq, attempt in self.calls.items():
            task = self.run.task(seq)
            assert task.node.type in CALLS
            if before.get(seq) != attempt:
                self.begun[seq, attempt] += 1
                assert self.begun[seq, attempt] == 1, f"attempt {attempt} began twice"

    def _check_stopped(self) -> None:
        open_tasks = [task.task_id for task in self.run.tasks if task.status not in TERMINAL]
        assert not open_tasks, f"the run ended while {open_tasks} were under way"
        assert not self.calls, "a call outlived its run"

    def _check_end(self) -> None:
        """The run has ended, or waits for signals that are named; and its history is complete."""
        run = self.run
        if not run.ended:
            assert run.status == "WAITING"
            assert all(run.task(seq).input["wait_for"] in SIGNALS for seq in run.waiting)
        assert shape(run) == shape(self.reload())
        rows: list[Any] = list(self.task_rows.values())
        row: Any = self.run_row
        replayed = {event.number: event for event in history.replay(row, rows)}
        told = {event.number: event for event in self.events}
        assert len(self.events) == len(told), "an event was told twice"
        assert replayed.keys() <= told.keys()
        assert [*range(1, len(told) + 1)] == sorted(told)


def _check_bound(group: TaskState) -> None:
    limit = groups.chain_limit(group.node) or groups.MAX_ITEMS
    last = {child.position: child for child in group.children}
    running = [task for task in last.values() if task.status not in TERMINAL and not task.is_held]
    assert len(running) <= limit, f"{group.task_id} runs {len(running)} chains of {limit}"


def torment(seeds: range, steps: int, tell: Callable[[str], None] = print) -> int:
    """Torment runs until *steps* steps are done; return how many were. Prints a seed that fails."""
    total = 0
    for seed in seeds:
        adversary = Adversary(seed)
        try:
            adversary.torment(random.Random(seed).randint(5, 400))
        except BaseException:
            tell(f"seed {seed} after {adversary.steps} steps")
            raise
        total += adversary.steps
        if total >= steps:
            break
    return total
