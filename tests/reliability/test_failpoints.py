"""A2: kill -9 at named places: before and after commits, in backups, restores and migrations."""

from __future__ import annotations

import ast
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import InvalidConfiguration
from appliance.failpoint import VARIABLE, Trap

from .copies import judge_copy
from .history import History, Outcome
from .load import Load
from .oracle import judge, judge_file
from .pulse import judge_pulse, project
from .serving import ROOT, Server
from .tiers import TIER, sized
from .verdict import Verdict

ROUNDS = sized(1, 1, 10)
IN_SHORT = 2
"""Places that the short tier takes of each database, other ones with each seed."""

FIRST_START = {
    "migration.statement": 20,
    "migration.before_commit": 3,
    "migration.committed": 4,
    "bootstrap.begun": 1,
    "bootstrap.key_kept": 1,
    "bootstrap.made": 1,
}
"""Places of the first start, in their order, and the latest time at which they are struck there."""

UNDER_LOAD = {
    "definitions.pinned": 2,
    "writer.before_commit": 40,
    "writer.committed": 40,
    "journal.stored": 40,
    "driver.calling": 20,
    "driver.answered": 20,
    "signal.stored": 3,
    "definition.stored": 2,
    "recovery.taken_up": 2,
    "tick.due": 3,
    "tick.started": 3,
}
OF_SQLITE = {"checkpoint.begun": 1, "checkpoint.done": 1}
BACKUPS = {"backup.copied": 1, "backup.packed": 1, "backup.verified": 1, "backup.named": 1}
RESTORES = {
    "restore.unpacked": 1,
    "restore.folded": 1,
    "restore.kept": 1,
    "restore.alone": 1,
    "restore.replaced": 1,
}

MOVES = {"export.written": 1, "import.batch": 1, "import.committed": 1, "move.compared": 1}
"""Places of a move, in their order; from the third on the target has everything. See `test_moved`."""

OF_POSTGRES = {"migration.statement": 3, "migration.before_commit": 1, "migration.committed": 1}
"""It executes a migration at one go, so each of these comes once for each of them."""


def armed(place: str, count: int) -> tuple[str, str]:
    """Return the command by which a program is started that dies when it comes to *place*."""
    return "env", f"{VARIABLE}={place}:kill:{count}"


def struck(server: Server, history: History, place: str, count: int, seed: str) -> None:
    """Start a server and give it work until it dies at a place."""
    if place == "recovery.taken_up":
        leave_something(server, f"{seed}-left", count)
    with server.launched(*armed(place, count)) as process:
        if alive(server, process):
            with Load(server, history, seed):
                if place in BACKUPS:
                    with suppress(OSError):
                        server.call("POST", "/backups")
                process.wait(30)
        assert -signal.SIGKILL == process.wait(30), f"{place} was not reached"


def alive(server: Server, process: Popen[bytes]) -> bool:
    """Wait until a server is ready; False when it has died before that."""
    while process.poll() is None:
        if server.ready:
            return True
        time.sleep(0.02)
    return False


def leave_something(server: Server, name: str, count: int) -> None:
    """Leave *count* runs that wait behind, for the next server to take up."""
    with server.running():
        for number in range(count):
            question = {"question": f"{name}-{number}"}
            server.call("POST", "/workflows/approval/executions", {"input": question})


def sample(places: dict[str, int], seed: str) -> list[tuple[str, int]]:
    """Return the places of this tier in their order, each with the time at which it is struck."""
    dice = random.Random(seed)
    chosen = dice.sample(sorted(places), IN_SHORT) if TIER == "short" else places
    return [(name, dice.randint(1, places[name])) for name in places if name in chosen]


def judge_backups(server: Server) -> list[str]:
    """Look into every archive that has a name; return what is wrong, and leave none of them."""
    wrong = []
    for backup in server.call("GET", "/backups")["backups"]:
        try:
            server.call("POST", f"/backups/{backup['name']}/verify")
        except OSError as error:
            wrong.append(f"backup {backup['name']} is not good: {error}")
    leftovers = [path.name for path in (server.home / "data" / "backups").glob(".*")]
    return wrong + [f"{name} was left behind" for name in leftovers]


def test_a_kill_at_any_place_loses_nothing(
    empty_database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Wherever the process dies, from the first migration on: the next one goes on from there."""
    server = Server(tmp_path, empty_database, project(tmp_path))
    history = History(tmp_path / "history")
    in_file = empty_database.driver == "sqlite"
    places = FIRST_START | UNDER_LOAD | (OF_SQLITE | BACKUPS if in_file else OF_POSTGRES)
    verdict = Verdict(f"A2 kill at places, {empty_database.driver}")
    for number in range(ROUNDS):
        for place, count in sample(places, f"{seed}-{number}"):
            if place in FIRST_START and number:
                continue  # there is one first start
            struck(server, history, place, count, f"{seed}-{number}-{place}")
            verdict.faults += 1
    with server.running():
        verdict.add(judge(server, history, verdict.faults))
        verdict.add(judge_pulse(server))
        if in_file:
            verdict.findings.corrupt += judge_backups(server)
    if in_file:
        verdict.add(judge_file(Path(empty_database.path)))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    conclude(verdict)


def test_a_kill_in_a_restore_leaves_the_old_or_the_new(
    sqlite_settings: DatabaseSettings,
    tmp_path: Path,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """The archive holds what the database holds, so whichever is there, nothing is lost."""
    server = Server(tmp_path, sqlite_settings)
    history = History(tmp_path / "history")
    verdict = Verdict("A2 kill in a restore", len(RESTORES))
    with server.running():
        with Load(server, history, seed):
            time.sleep(1)
        verdict.add(judge(server, history, crashes=0))
        archive = server.home / "data" / "backups" / server.call("POST", "/backups")["name"]
    for place, count in RESTORES.items():
        killed = server.command("restore", str(archive), wrapper=armed(place, count))
        assert -signal.SIGKILL == killed.returncode, f"{place} was not reached: {killed.stderr}"
        verdict.add(judge_copy(Path(sqlite_settings.path), history))
    with server.running():
        verdict.add(judge(server, history, crashes=1))
    assert [] == list(tmp_path.glob(".*")), "unfinished files stay"
    verdict.acknowledged = history.count(Outcome.OK)
    conclude(verdict)


def test_a_server_that_answers_too_early_is_caught(
    sqlite_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """Killed just before a commit, a server that has acknowledged it already has lost it."""
    server = Server(tmp_path, sqlite_settings, sabotage="acknowledge_before_commit")
    history = History(tmp_path / "history")
    struck(server, history, "writer.before_commit", 40, seed)
    assert judge_copy(Path(sqlite_settings.path), history).lost


def test_every_place_is_struck() -> None:
    """A place that the program names is in the tables above, and no other."""
    tables = FIRST_START | UNDER_LOAD | OF_SQLITE | BACKUPS | RESTORES | MOVES
    assert sorted(tables) == sorted(set(named_places()))


def named_places() -> Iterator[str]:
    for path in (ROOT / "appliance").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoint":
                (place,) = node.args
                assert isinstance(place, ast.Constant), f"{path}: a place is a text"
                yield str(place.value)


@pytest.mark.parametrize("value", ["", "x", "a.b:kill", "a.b:kill:0", "a.b:boil:1", "a.b:kill:1:1"])
def test_what_cannot_be_meant_is_refused(value: str) -> None:
    """A mistake in the variable is told, and nothing runs as if it were not there."""
    with pytest.raises(InvalidConfiguration, match=f"{VARIABLE} is '{value}'; write <place>:"):
        Trap(value)
