"""A12: PostgreSQL restarts, and connections to it are lost, while writes of every kind are asked for."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.config import DatabaseSettings
from tests.postgres_server import PostgresServer

from .history import History, Outcome
from .line import Cut, Line
from .load import NOTE, RUN, WEIGHTS, Load, note, run
from .oracle import Findings, judge
from .serving import Server
from .tiers import sized
from .verdict import Verdict

ROUNDS = sized(1, 3, 20)

BACK_WITHIN_S = 2.0
"""So soon after PostgreSQL writes are acknowledged again, in half of the cases at least."""

CONNECTS_PER_S = 20
"""Attempts to connect in one second, at most, while there is nothing to connect to: no herd."""


class World(NamedTuple):
    """What faults are done to."""

    postgres: PostgresServer
    line: Line
    settings: DatabaseSettings
    """The database as it is reached by the line."""

    def execute(self, query: str) -> list[tuple[int]]:
        """Ask about the connections of the server; return the rows."""
        rows: list[tuple[int]] = self.postgres.execute(
            f"SELECT {query} FROM pg_stat_activity WHERE application_name LIKE 'compozy%'"
        )
        return rows


def restart(world: World, by: signal.Signals) -> None:
    """Stop PostgreSQL and start it half a second later."""
    world.postgres.kill(by)
    time.sleep(0.5)
    world.postgres.start()


def crash_backend(world: World) -> None:
    """Kill one process of PostgreSQL, which then throws out everybody and recovers."""
    ((pid,), *_) = world.execute("pid")
    os.kill(pid, signal.SIGKILL)
    world.postgres.wait_until_accepting()


def terminate(world: World) -> None:
    """End all connections from the other side."""
    world.execute("pg_terminate_backend(pid)")


def cut(world: World) -> None:
    """Cut all connections on the way."""
    world.line.cut()


def cut_commit(world: World, how: Cut) -> None:
    """Cut the connection that commits next, at the worst moment."""
    world.line.cut_commit(how)


def hold(world: World, *, then_cut: bool) -> None:
    """Let nothing through for a while."""
    world.line.halt()
    time.sleep(1)
    if then_cut:
        world.line.cut()
    world.line.resume()


FAULTS: list[Callable[[World], None]] = [
    *(partial(restart, by=by) for by in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)),
    *(partial(cut_commit, how=how) for how in Cut),
    *(partial(hold, then_cut=then_cut) for then_cut in (False, True)),
    crash_backend,
    terminate,
    cut,
]


@pytest.fixture
def world(postgres_server: PostgresServer, postgres_settings: DatabaseSettings) -> Iterator[World]:
    """A PostgreSQL that can be killed, and a line to it that can be cut."""
    with Line(postgres_server.socket) as line:
        yield World(postgres_server, line, line.through(postgres_settings))
    postgres_server.kill()  # whatever state the test has left it in
    postgres_server.start()


def until_acknowledged(server: Server, history: History, name: str) -> float:
    """Ask for writes until one is acknowledged; return how many seconds that took."""
    begun = time.monotonic()
    number = 0
    while note(server, history, f"{name}-{number}") is not Outcome.OK:
        assert time.monotonic() - begun < 30, server.log
        number += 1
        time.sleep(0.02)
    return time.monotonic() - begun


def ask_again(server: Server, history: History) -> None:
    """Repeat every start of a run whose outcome is not known: the same key begins one run."""
    for open_ in [write for write in history.of(RUN) if write.outcome is Outcome.UNKNOWN]:
        assert run(server, history, open_.name) is Outcome.OK


def tormented(
    server: Server,
    history: History,
    world: World,
    faults: list[Callable[[World], None]],
    *,
    seed: str,
    weights: Mapping[str, int] = WEIGHTS,
    patience_s: float = 60.0,
) -> tuple[Findings, list[float]]:
    """Do *faults* to a server under load; return what was found, and the seconds until it was back."""
    dice = random.Random(seed)
    recoveries = []
    with server.running():
        with Load(server, history, seed, weights=weights):
            for number, fault in enumerate(faults):
                time.sleep(dice.uniform(0.1, 0.5))
                fault(world)
                recoveries.append(until_acknowledged(server, history, f"{seed}-back{number}"))
        ask_again(server, history)
        return judge(server, history, len(faults), patience_s), recoveries


def most_in_a_second(moments: list[float]) -> int:
    """Return how many of *moments* lie in the second that has most of them."""
    return max(sum(begin <= moment < begin + 1 for moment in moments) for begin in moments)


def test_lost_connections_lose_and_double_nothing(
    world: World,
    tmp_path: Path,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """However PostgreSQL or the line to it fails: what was acknowledged is there once."""
    faults = FAULTS * ROUNDS
    random.Random(seed).shuffle(faults)
    server = Server(tmp_path, world.settings)
    history = History(tmp_path / "history")
    verdict = Verdict("A12 PostgreSQL lost", len(faults))
    found, verdict.recoveries = tormented(server, history, world, faults, seed=seed)
    verdict.add(found)
    verdict.acknowledged = history.count(Outcome.OK)
    assert statistics.median(verdict.recoveries) <= BACK_WITHIN_S
    assert most_in_a_second(world.line.connects) <= CONNECTS_PER_S
    conclude(verdict)


@pytest.mark.parametrize(
    ("sabotage", "how"),
    [("believe_lost_commits", Cut.UNSENT), ("repeat_lost_commits", Cut.UNANSWERED)],
)
def test_a_server_that_guesses_is_caught(
    world: World, tmp_path: Path, seed: str, sabotage: str, how: Cut
) -> None:
    """Who takes a lost COMMIT for a success loses writes; who repeats it has some of them twice."""
    server = Server(tmp_path, world.settings, sabotage=sabotage)
    history = History(tmp_path / "history")
    faults = [partial(cut_commit, how=how)] * 3
    notes = {NOTE: 1}  # each commit has one, and nothing but its outcome tells it from a repetition
    found, _ = tormented(
        server, history, world, list(faults), seed=seed, weights=notes, patience_s=2
    )
    assert found.lost if how is Cut.UNSENT else found.doubled
