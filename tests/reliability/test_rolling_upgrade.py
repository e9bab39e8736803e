"""Two versions beside each other on one database: what is added is shared, what is taken away is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import psycopg
import pytest

from appliance.config import DatabaseSettings
from appliance.errors import DatabaseTooNew, Locked
from tests.store import later

from .history import History, Outcome
from .load import Load, run
from .oracle import judge, pages
from .serving import PROJECT, Server
from .verdict import Verdict

WORK_S = 1.0
"""How long the servers work in each state of the schema."""

PATIENCE_S = 20.0


def servers(home: Path, database: DatabaseSettings) -> list[Server]:
    """Return two servers with data directories of their own, one ledger and one key."""
    made = []
    for name in ("one", "two"):
        (home / name).mkdir()
        server = Server(home / name, database, LEDGER=str(home / "one" / "ledger"), NODE_NAME=name)
        server.keys = home / "one"
        made.append(server)
    return made


def is_refused(server: Server) -> bool:
    """Whether a server that cannot use the schema ends, and says why (78)."""
    ended = server.command("start", str(PROJECT))
    assert DatabaseTooNew.exit_code == ended.returncode, ended.stderr
    needed = f"only programs can use that know migration {later.CONTRACTING.since}"
    return needed in ended.stderr.splitlines()[-1]


def stop(process: Popen[bytes]) -> None:
    """Stop a server as an operator does."""
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def read_all(server: Server) -> None:
    """Read every run."""
    for found in pages(server, "/workflows/twelve/executions", "executions"):
        server.call("GET", f"/executions/workflows/{found['workflow_exec_id']}")


def has_mood(database: DatabaseSettings) -> bool:
    """Whether the newer version can use what it added."""
    with psycopg.connect(database.conninfo) as connection:
        changed = connection.execute("UPDATE workflow_states SET mood = 'fine'").rowcount
    return changed > 0


def test_servers_are_upgraded_one_by_one(
    postgres_settings: DatabaseSettings,
    tmp_path: Path,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """Under load the schema grows, servers are restarted on it, and what none could use must wait."""
    verdict = Verdict("Rolling upgrade", faults=1)
    history = History(tmp_path / "history")
    first, second = servers(tmp_path, postgres_settings)
    with ExitStack() as stack:
        process = stack.enter_context(first.running())
        with Load(first, history, f"{seed}-1", lanes=2):
            time.sleep(WORK_S)
            read_all(first)
            later.apply(postgres_settings, later.EXPANDING)
            read_all(first)
            stack.enter_context(second.running())
            with Load(second, history, f"{seed}-2", lanes=2):
                time.sleep(WORK_S)
                with pytest.raises(Locked, match="cannot follow"):
                    later.apply(postgres_settings, later.EXPANDING, later.CONTRACTING)
        stop(process)
        process = stack.enter_context(first.running())
        assert run(first, history, f"{seed}-again") is Outcome.OK
        refused = [write for write in history.writes if write.outcome is not Outcome.OK]
        assert [] == refused, "a server was held up by what was done to the schema"
        assert "database refused" not in first.log + second.log
        verdict.add(judge(first, history, 1))
        assert has_mood(postgres_settings)
    verdict.recoveries = first.recoveries
    verdict.acknowledged = history.count(Outcome.OK)
    later.apply(postgres_settings, later.EXPANDING, later.CONTRACTING)
    assert is_refused(second)
    conclude(verdict)


def test_the_former_version_goes_on_with_what_was_added(
    sqlite_settings: DatabaseSettings,
    tmp_path: Path,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """Who goes back to it on a file of SQLite loses nothing, until something was taken away."""
    verdict = Verdict("Former version, sqlite", faults=1)
    history = History(tmp_path / "history")
    server = Server(tmp_path, sqlite_settings)
    later.apply(sqlite_settings, later.EXPANDING)
    for number in range(2):
        with server.running() as process:
            assert run(server, history, f"{seed}-{number}") is Outcome.OK
            verdict.add(judge(server, history, 0))
            stop(process)
    later.apply(sqlite_settings, later.EXPANDING, later.CONTRACTING)
    assert is_refused(server)
    verdict.recoveries, verdict.acknowledged = server.recoveries, history.count(Outcome.OK)
    conclude(verdict)
