"""What is done with the peers: rounds of load, a rest, and a kill."""

from __future__ import annotations

import contextlib
import functools
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.figures import Records
from benchmarks.peers.peer import STEPS, Peer

IN_FLIGHT = 16
KILLED = 20
BEGUN_LIMIT_S = 20.0


class Plan(NamedTuple):
    """How often, and how long in seconds."""

    rounds: int = 5
    rest_rounds: int = 2  # of rests and kills
    slow_rounds: int = 2  # of load, where a run takes seconds
    seconds: float = 3.0  # of a figure
    settle: float = 5.0
    rest: float = 20.0
    recovery: float = 60.0
    kills_at_once: int = 3


QUICK = Plan(rounds=1, rest_rounds=1, seconds=0.5, settle=1.0, rest=2.0, recovery=10.0)


class Spent(NamedTuple):
    """What a peer and its database have used so far."""

    written: float
    cpu_ms: float


class Measurement:
    """All rounds of all peers. A failure of a peer is noted with its reason; the rest goes on."""

    def __init__(self, peers: Sequence[Peer], plan: Plan, seed: int) -> None:
        self._peers, self._plan = list(peers), plan
        self._random = random.Random(seed)
        self.records: Records = []
        self.failures: list[dict[str, Any]] = []
        self.durability: dict[str, str] = {}

    def run(self) -> None:
        """Do everything."""
        for number in range(self._plan.rounds):
            for peer in self._shuffled():
                if number < self._plan.slow_rounds or not peer.slow:
                    self._attempt(peer, number, self._load)
        for number in range(self._plan.rest_rounds):
            self._rest(number)
            kill = functools.partial(self._attempt, number=number, measure=self._kill)
            with ThreadPoolExecutor(self._plan.kills_at_once) as pool:
                list(pool.map(kill, self._shuffled()))

    def _shuffled(self) -> list[Peer]:
        return self._random.sample(self._peers, len(self._peers))

    def _attempt(
        self, peer: Peer, number: int, measure: Callable[[Peer], dict[str, float]]
    ) -> None:
        with self._forgiving(peer, number):
            self._record(peer, number, measure(peer))
        peer.stop()

    @contextlib.contextmanager
    def _forgiving(self, peer: Peer, number: int) -> Iterator[None]:
        """Note what goes wrong and go on: what others made may fail in any way."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            self.failures.append({"peer": peer.name, "round": number, "reason": reason})
            _say(f"round {number + 1}: {peer.title} failed: {reason}")

    def _record(self, peer: Peer, number: int, figures: dict[str, float]) -> None:
        self.records.append({"peer": peer.name, "round": number, "figures": figures})
        told = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        _say(f"round {number + 1}: {peer.title}: {told}")

    def _load(self, peer: Peer) -> dict[str, float]:
        peer.forget()
        begin = time.perf_counter()
        peer.start()
        peer.load("one", 1, 0)
        cold = time.perf_counter() - begin
        self.durability[peer.name] = peer.durability()
        time.sleep(self._plan.settle / 5)
        idle = peer.usage()
        if not peer.slow:
            peer.load("ten", IN_FLIGHT, self._plan.seconds / 4)
        figures = {"cold_s": cold, "rss_mib": idle.rss_mib, "pss_mib": idle.pss_mib}
        for flow, steps in STEPS.items():
            for in_flight in (IN_FLIGHT, 1):
                figures |= self._loop(peer, flow, steps, in_flight)
        return figures

    def _loop(self, peer: Peer, flow: str, steps: int, in_flight: int) -> dict[str, float]:
        before = _spent(peer)
        done = peer.load(flow, in_flight, self._plan.seconds)
        after = _spent(peer)
        done_steps = done.runs * steps
        what = f"{flow}_{in_flight}"
        return {
            f"{what}_steps_per_s": done_steps / done.seconds,
            f"{what}_step_ms": done.p50_ms / steps,
            f"{what}_step_kib": (after.written - before.written) / done_steps / 1024,
            f"{what}_step_cpu_ms": (after.cpu_ms - before.cpu_ms) / done_steps,
        }

    def _rest(self, number: int) -> None:
        """Let all of them rest together; what each does meanwhile is counted by itself."""
        resting: list[Peer] = []
        try:
            for peer in self._shuffled():
                with self._forgiving(peer, number):
                    peer.forget()
                    peer.start()
                    peer.load("one", 1, 0)
                    resting.append(peer)
            time.sleep(self._plan.settle)
            for peer in resting:
                peer.settle()
            before = [_spent(peer) for peer in resting]
            time.sleep(self._plan.rest)
            for peer, spent in zip(resting, before, strict=True):
                with self._forgiving(peer, number):
                    self._record(peer, number, self._rested(peer, spent))
        finally:
            for peer in self._peers:
                peer.stop()

    def _rested(self, peer: Peer, before: Spent) -> dict[str, float]:
        after, seconds = _spent(peer), self._plan.rest
        return {
            "idle_bytes_per_s": (after.written - before.written) / seconds,
            "idle_cpu_ms_per_s": (after.cpu_ms - before.cpu_ms) / seconds,
        }

    def _kill(self, peer: Peer) -> dict[str, float]:
        peer.forget()
        peer.start()
        notes = peer.home / "notes"
        notes.touch()
        peer.begin(KILLED, notes)
        _until(lambda: len(_noted("begin", notes)) == KILLED, BEGUN_LIMIT_S)
        time.sleep(0.3)
        peer.kill()
        before = _noted("end", notes)
        peer.start()
        _until(lambda: len(_noted("end", notes)) == KILLED, self._plan.recovery)
        in_flight = KILLED - len(before)
        survived = len(_noted("end", notes) - before)
        return {"in_flight": in_flight, "survivors": survived / in_flight * KILLED}


def _spent(peer: Peer) -> Spent:
    own, database = peer.usage(), peer.database_usage()
    # PostgreSQL makes its log in blocks of a megabyte and then writes pages of it. Kernels that
    # keep such a block together count all of it as written for every page, so that its own calls
    # tell better what reaches the disk; it talks to its clients by other ones.
    return Spent(own.written + database.passed, own.cpu_ms + database.cpu_ms)


def _noted(word: str, notes: Path) -> set[str]:
    lines = (line.split() for line in notes.read_text().splitlines())
    return {number for first, number in lines if first == word}


def _until(reached: Callable[[], bool], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.02)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
