"""A17: backups under load, each taken out and compared with what was acknowledged before it began."""

from __future__ import annotations

import statistics
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from appliance.config import DatabaseSettings

from .copies import judge_copy
from .history import History, Outcome
from .load import LANES, Load, note
from .oracle import Findings, judge
from .serving import Server
from .tiers import sized
from .verdict import Verdict

BACKUPS = sized(3, 20, 100)
CLIENTS = sized(LANES, 16, 16)
NO_PAUSE_S = 5.0
"""A write that takes longer beside a backup has been held up by it."""


class Taken(NamedTuple):
    """A backup: its file, how many writes were answered before it began, and when it was made."""

    archive: Path
    moment: int
    begun: float
    ended: float


class Stopwatch:
    """Asks for one write after the other and notes when it began and how many seconds it took."""

    def __init__(self, server: Server, history: History, name: str) -> None:
        self.times: list[tuple[float, float]] = []
        self._server, self._history, self._name = server, history, name
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure during this block."""
        thread = threading.Thread(target=self._measure, daemon=True)
        thread.start()
        yield
        self._stop.set()
        thread.join(30)

    def _measure(self) -> None:
        number = 0
        while not self._stop.is_set():
            begun = time.monotonic()
            note(self._server, self._history, f"{self._name}-{number}")
            self.times.append((begun, time.monotonic() - begun))
            number += 1
            time.sleep(0.005)

    def compared(self, taken: list[Taken]) -> tuple[list[float], list[float]]:
        """Return the seconds of writes beside a backup, and those of the others."""
        beside: list[float] = []
        alone: list[float] = []
        for begun, took in self.times:
            overlaps = any(begun < each.ended and begun + took > each.begun for each in taken)
            (beside if overlaps else alone).append(took)
        return beside, alone


def take(server: Server, history: History, number: int) -> list[Taken]:
    """Make so many backups, one after the other."""
    taken = []
    for _ in range(number):
        time.sleep(0.2)
        moment, begun = len(history.writes), time.monotonic()
        name = server.call("POST", "/backups")["name"]
        path = server.home / "data" / "backups" / name
        taken.append(Taken(path, moment, begun, time.monotonic()))
    return taken


def judge_backup(server: Server, history: History, taken: Taken) -> Findings:
    """Restore a backup into a directory of its own and compare it with what had been said."""
    target = server.home / taken.archive.stem
    done = server.command("restore", str(taken.archive), "--to", str(target))
    if done.returncode:
        return Findings(lost=[f"{taken.archive.name} cannot be restored: {done.stderr}"])
    return judge_copy(target / "app.db", history.at(taken.moment))


def test_a_backup_holds_what_was_acknowledged(
    sqlite_settings: DatabaseSettings,
    tmp_path: Path,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """All that was acknowledged before it began, nothing twice, nothing torn; and nobody waits."""
    server = Server(tmp_path, sqlite_settings)
    history = History(tmp_path / "history")
    verdict = Verdict("A17 backups under load", BACKUPS)
    stopwatch = Stopwatch(server, history, f"{seed}-watch")
    with server.running():
        with Load(server, history, seed, CLIENTS), stopwatch.running():
            time.sleep(1)
            taken = take(server, history, BACKUPS)
        verdict.add(judge(server, history, crashes=0))
    for each in taken:
        verdict.add(judge_backup(server, history, each))
    verdict.acknowledged = history.count(Outcome.OK)
    beside, alone = stopwatch.compared(taken)
    slower = statistics.median(beside) / statistics.median(alone)
    print(f"a write takes {slower:.1f} times as long beside a backup, {max(beside):.3f} s at most")
    assert max(beside) < NO_PAUSE_S
    conclude(verdict)


def test_a_copy_of_the_file_alone_is_caught(
    sqlite_settings: DatabaseSettings, tmp_path: Path, seed: str
) -> None:
    """The log beside a database is a part of it: backups without it lack what was acknowledged."""
    server = Server(tmp_path, sqlite_settings, sabotage="copy_the_file_alone")
    history = History(tmp_path / "history")
    with server.running(), Load(server, history, seed):
        time.sleep(0.5)
        found = [incomplete(server, history) for _ in range(5)]
    assert any(found)  # one of them may come when all is in the file


def incomplete(server: Server, history: History) -> list[str]:
    """Make a backup; return what it lacks, or why it was refused."""
    try:
        (taken,) = take(server, history, 1)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return [str(refusal)]
    return judge_backup(server, history, taken).lost
