"""A11: two programs on one data directory, on one database file, or on one PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import Locked

from .serving import PROJECT, Server
from .tiers import TIER
from .verdict import Verdict

COMMANDS = {
    "start": ("start", str(PROJECT)),
    "migrate up": ("migrate", "up"),
    "migrate down": ("migrate", "down", "--to", "0", "--yes"),
    "bootstrap": ("auth", "bootstrap", "--force"),
    "restore": ("restore", "any.zip"),
}
"""What may not happen beside a server."""


def neighbour(server: Server, database: DatabaseSettings, sabotage: str = "") -> Server:
    """Return another program with a data directory of its own and the same database."""
    home = server.home / "neighbour"
    home.mkdir()
    return Server(home, database, sabotage=sabotage)


def commands(database: DatabaseSettings, seed: str, *, elsewhere: bool) -> list[str]:
    """Return what must be refused, in the short tier two of it.

    PostgreSQL has its own restore, a new key in it does no harm, and servers may share it, also with
    a migration that they can follow.
    """
    harmless = {"restore", "migrate up"} | ({"bootstrap", "start"} if elsewhere else set())
    in_file = database.driver == "sqlite"
    found = [name for name in COMMANDS if in_file or name not in harmless]
    return random.Random(seed).sample(found, min(2, len(found))) if TIER == "short" else found


def judge_refusal(server: Server, name: str, holder: str) -> list[str]:
    """Try a command and look whether it is refused as it should; return what is wrong."""
    (server.home / "any.zip").touch()
    said = server.command(*COMMANDS[name])
    if Locked.exit_code != said.returncode:
        return [f"{name} ended with {said.returncode}: {said.stdout} {said.stderr}"]
    told = holder in said.stderr.splitlines()[-1]
    return [] if told else [f"{name} does not say who is there: {said.stderr}"]


def who(process: Popen[bytes], database: DatabaseSettings) -> str:
    """Return how a refusal names the holder of a database: PostgreSQL does not know the process."""
    return f"process {process.pid}" if database.driver == "sqlite" else "Servers work on this"


def test_a_second_program_is_refused(
    database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """It ends with 73 and says who is there, and the first one goes on; a kill leaves no lock."""
    server = Server(tmp_path, database)
    other = neighbour(server, database)
    verdict = Verdict(f"A11 two programs, {database.driver}")
    with server.running() as process:
        for place, holder in ((server, f"process {process.pid}"), (other, who(process, database))):
            for name in commands(database, seed, elsewhere=place is other):
                verdict.findings.corrupt += judge_refusal(place, name, holder)
                verdict.faults += 1
        server.call("POST", "/users", {"email": "ada@example.org"})
    with other.running():  # the server was killed
        command = "start" if database.driver == "sqlite" else "migrate down"
        assert Locked.exit_code == server.command(*COMMANDS[command]).returncode
    verdict.recoveries = other.recoveries
    conclude(verdict)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_servers_without_locks_are_caught(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A program that takes no lock is at work beside the first one, which is seen."""
    database: DatabaseSettings = request.getfixturevalue(f"{kind}_settings")
    server = Server(tmp_path, database)
    other = neighbour(server, database, sabotage="take_no_lock")
    with server.running() as process:
        assert judge_refusal(other, "migrate down", who(process, database))
