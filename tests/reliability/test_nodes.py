"""Several servers on one PostgreSQL: one is killed, one is paused, while writes of every kind go on."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import psycopg
import pytest

from appliance.config import DatabaseSettings

from .history import History, Outcome
from .load import DEFINITION, Load, run
from .oracle import Findings, judge, pages
from .pulse import judge_pulse, project
from .serving import Server
from .tiers import sized
from .verdict import Verdict

NODES = 3
LEASE_S = 3
ROUNDS = sized(1, 5, 30)
IN_FLIGHT = sized(120, 2000, 2000)

TAKEN_OVER_WITHIN_S = 2.0
"""So soon after its lease others go on with the runs of a node that is dead."""


class Member(NamedTuple):
    """A server and its process."""

    server: Server
    process: Popen[bytes]


class Fleet:
    """Servers on one database. What they call is told in one ledger, that of the first."""

    def __init__(self, home: Path, database: DatabaseSettings, sabotage: str = "") -> None:
        self.database = database
        self.servers = []
        made = project(home)
        for number in range(1, NODES + 1):
            name = f"node{number}"
            (home / name).mkdir()
            told = {"NODE_NAME": name, "NODE_LEASE": f"{LEASE_S}s"}
            ledger = str(home / "node1" / "ledger")
            server = Server(home / name, database, made, sabotage=sabotage, LEDGER=ledger, **told)
            server.keys = home / "node1"
            self.servers.append(server)

    @contextmanager
    def running(self) -> Iterator[list[Member]]:
        """Start all servers, the first one first: it makes the key."""
        with ExitStack() as stack:
            yield [Member(each, stack.enter_context(each.running())) for each in self.servers]

    def held_by(self, name: str) -> int:
        """Return how many runs that have not ended are held by the node *name*, dead or alive."""
        return self._count(
            "WHERE node_id IN (SELECT id FROM nodes WHERE name = %s) AND status IN"
            " ('PENDING', 'RUNNING', 'WAITING', 'PAUSED')",
            name,
        )

    def is_member(self, name: str) -> bool:
        """Whether a node of that name is among the members."""
        query = b"SELECT id FROM nodes WHERE name = %s"
        with psycopg.connect(self.database.conninfo) as connection:
            return connection.execute(query, (name,)).fetchone() is not None

    def definitions(self) -> set[str]:
        """Return the workflows that the first server knows."""
        return {found["id"] for found in pages(self.servers[0], "/workflows", "workflows")}

    def _count(self, condition: str, value: str) -> int:
        query = f"SELECT count(*) FROM workflow_states {condition}".encode()
        with psycopg.connect(self.database.conninfo) as connection:
            row = connection.execute(query, (value,)).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def fleet(tmp_path: Path, postgres_settings: DatabaseSettings) -> Fleet:
    """Servers that are not running yet."""
    return Fleet(tmp_path, postgres_settings)


def until(met: Callable[[], bool], limit_s: float) -> float:
    """Wait until something is so; return how many seconds that took."""
    begun = time.monotonic()
    while not met():
        assert time.monotonic() - begun < limit_s, "it did not come to that"
        time.sleep(0.02)
    return time.monotonic() - begun


def taken_over(fleet: Fleet, name: str) -> float:
    """Wait until others have taken over from a node that is silent; return the seconds."""
    limit = LEASE_S + TAKEN_OVER_WITHIN_S
    return until(lambda: not fleet.is_member(name) and not fleet.held_by(name), limit)


def kill_one(fleet: Fleet, member: Member) -> float:
    """Kill a server; return the seconds until others went on."""
    os.kill(member.process.pid, signal.SIGKILL)
    member.process.wait()
    return taken_over(fleet, member.server.home.name)


def pause_one(fleet: Fleet, member: Member) -> float:
    """Stop a server for twice its lease and let it go on; return the seconds until others went on."""
    name = member.server.home.name
    os.kill(member.process.pid, signal.SIGSTOP)
    try:
        took = taken_over(fleet, name)
        time.sleep(2 * LEASE_S - took)
    finally:
        os.kill(member.process.pid, signal.SIGCONT)
    until(lambda: fleet.is_member(name), 10)
    return took


def judged(fleet: Fleet, history: History, faults: int, patience_s: float = 120) -> Findings:
    """Compare what the fleet holds with what its servers said."""
    wanted = {write.name for write in history.of(DEFINITION) if write.outcome is Outcome.OK}
    with suppress(AssertionError):  # the others are told of a definition; give them a moment
        until(lambda: wanted <= fleet.definitions(), 10)
    findings = judge(fleet.servers[0], history, faults, patience_s, in_order=False)
    pulse = judge_pulse(fleet.servers[0], patience_s=patience_s)
    findings.lost += pulse.lost
    findings.doubled += pulse.doubled
    return findings


def test_one_is_paused_and_one_is_killed(
    fleet: Fleet, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Every run goes on elsewhere, and nothing counts that a dead node still says."""
    verdict = Verdict("Nodes paused and killed")
    history = History(tmp_path / "history")
    dice = random.Random(seed)
    with ExitStack() as stack:
        members = stack.enter_context(fleet.running())
        with ExitStack() as clients:
            for number, member in enumerate(members):
                clients.enter_context(Load(member.server, history, f"{seed}-{number}", lanes=2))
            for _ in range(ROUNDS):
                time.sleep(dice.uniform(0.5, 1.5))
                paused, killed = dice.sample(range(NODES), 2)
                verdict.recoveries.append(pause_one(fleet, members[paused]))
                verdict.recoveries.append(kill_one(fleet, members[killed]))
                server = members[killed].server
                members[killed] = Member(server, stack.enter_context(server.running()))
                verdict.faults += 2
        verdict.add(judged(fleet, history, verdict.faults))
    verdict.acknowledged = history.count(Outcome.OK)
    conclude(verdict)


@pytest.mark.reliability
def test_many_runs_are_in_flight(
    fleet: Fleet, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """One node dies and one is paused with all that they hold: nobody else is held up by it."""
    verdict = Verdict(f"Nodes with {IN_FLIGHT} runs", faults=2)
    history = History(tmp_path / "history")
    with fleet.running() as members:
        begin(members, history, seed)
        held = [fleet.held_by(member.server.home.name) for member in members]
        assert all(held), f"not all of them had something to do: {held}"
        verdict.recoveries.append(kill_one(fleet, members[0]))
        verdict.recoveries.append(pause_one(fleet, members[1]))
        server = fleet.servers[0]
        with server.running():
            verdict.add(judged(fleet, history, 2, patience_s=300))
    verdict.acknowledged = history.count(Outcome.OK)
    conclude(verdict)


@pytest.mark.reliability
def test_dead_nodes_that_are_left_are_seen(
    postgres_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """Where nobody takes over from a node that was killed, its runs never end."""
    fleet = Fleet(tmp_path, postgres_settings, "leave_the_dead")
    history = History(tmp_path / "history")
    with fleet.running() as members:
        with Load(members[1].server, history, seed):
            until(lambda: fleet.held_by("node2") > 2, 10)
            members[1].process.kill()
            members[1].process.wait()
        time.sleep(LEASE_S)
        assert judge(fleet.servers[0], history, 1, patience_s=5).lost


@pytest.mark.reliability
def test_a_node_that_goes_on_is_caught(
    postgres_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """One that was paused and does not hear that others took over calls their tools again."""
    fleet = Fleet(tmp_path, postgres_settings, "miss_the_fence")
    history = History(tmp_path / "history")
    with fleet.running() as members:
        with Load(members[1].server, history, seed):
            until(lambda: fleet.held_by("node2") > 2, 10)
            members[1].process.send_signal(signal.SIGSTOP)
            taken_over(fleet, "node2")
            members[1].process.send_signal(signal.SIGCONT)
        assert judge(fleet.servers[0], history, 1).all


def begin(members: list[Member], history: History, seed: str) -> None:
    """Begin many runs, the same number at each server."""

    def ask(number: int) -> None:
        server = members[number % NODES].server
        assert run(server, history, f"{seed}-{number}") is Outcome.OK

    with ThreadPoolExecutor(4 * NODES) as clients:
        list(clients.map(ask, range(IN_FLIGHT)))
