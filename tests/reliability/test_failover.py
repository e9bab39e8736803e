"""A13: the machine of PostgreSQL is lost, and its standby takes its place."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.config import DatabaseSettings
from tests.postgres_server import PostgresServer, Standby

from .history import History, Outcome
from .load import Load
from .oracle import Findings, judge
from .serving import Server
from .test_postgres import ask_again, until_acknowledged
from .tiers import sized
from .verdict import Verdict

LOAD_S = sized(1, 5, 20)
AWAY_S = sized(0, 4, 4)
"""Until the standby is promoted, at most: more than a lease, so that servers declare others dead."""

NODES = 2


class Pair(NamedTuple):
    """A server of PostgreSQL and the one that follows it."""

    primary: PostgresServer
    standby: Standby

    @property
    def settings(self) -> DatabaseSettings:
        """The database, wherever it can be written to."""
        hosts = f"{self.primary.socket.parent},{self.standby.socket.parent}"
        conninfo = f"host={hosts} user=postgres dbname=postgres target_session_attrs=read-write"
        return DatabaseSettings(driver="postgres", conninfo=conninfo)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two servers; what one acknowledges the other has."""
    with ExitStack() as stack:
        primary = PostgresServer()
        stack.callback(primary.close)
        standby = Standby(primary)
        stack.callback(standby.close)
        yield Pair(primary, standby)


def failed_over(
    pair: Pair, home: Path, seed: str, sabotage: str = ""
) -> tuple[Findings, History, list[float]]:
    """Lose the machine of PostgreSQL under load; return what was found, said, and how long it took."""
    history = History(home / "history")
    recoveries = []
    with ExitStack() as stack:
        servers = [
            stack.enter_context(started(pair, home, number, sabotage)) for number in range(NODES)
        ]
        with ExitStack() as clients:
            for server in servers:
                clients.enter_context(Load(server, history, f"{seed}-{server.home.name}", lanes=2))
            time.sleep(LOAD_S)
            pair.primary.kill(signal.SIGKILL)
            time.sleep(random.Random(seed).uniform(0, AWAY_S))
            pair.standby.promote()
            for server in servers:
                name = f"{seed}-back-{server.home.name}"
                recoveries.append(until_acknowledged(server, history, name))
            time.sleep(LOAD_S)
        ask_again(servers[0], history)
        return judge(servers[0], history, 1 + NODES), history, recoveries


@contextmanager
def started(pair: Pair, home: Path, number: int, sabotage: str) -> Iterator[Server]:
    """Start a server that shares the database with the others; the first one has ledger and key."""
    first, own = home / "node0", home / f"node{number}"
    own.mkdir()
    ledger = str(first / "ledger")
    server = Server(own, pair.settings, sabotage=sabotage, LEDGER=ledger, NODE_LEASE="3s")
    server.keys = first
    with server.running():
        yield server


def test_a_synchronous_standby_has_everything(
    pair: Pair, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Servers find it by themselves, and what they had acknowledged is there."""
    verdict = Verdict("A13 PostgreSQL failed over", faults=1)
    verdict.findings, history, verdict.recoveries = failed_over(pair, tmp_path, seed)
    verdict.acknowledged = history.count(Outcome.OK)
    conclude(verdict)


@pytest.mark.reliability
def test_a_server_that_acknowledges_too_early_is_caught(
    pair: Pair, tmp_path: Path, seed: str
) -> None:
    """What the lost machine had not committed yet is not at the standby either."""
    findings, _, _ = failed_over(pair, tmp_path, seed, "acknowledge_before_commit")
    assert findings.lost
