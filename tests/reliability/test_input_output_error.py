"""A5: the disk answers with an error, once, to one of the calls of the store.

After an fsync that failed Linux takes what it could not write for written. A program that tries
again hears that all is well, and has lost something. So nothing more may be acknowledged, the
process ends, and the next one makes sure that what it finds is on the disk before it goes on.
"""

from __future__ import annotations

import copy
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.config import DatabaseSettings

from . import oracle
from .history import History, Outcome
from .load import Load
from .machine import memory_or, needs
from .powerloss import Disk
from .remains import Said, clerk, heard, judge
from .serving import Server
from .tiers import sized
from .trace import calls, striking, traced
from .verdict import Verdict

FAULTS = sized(4, 25, 400)
STORAGE_BROKE, NOT_EVEN_PYTHON = 74, 127
CALLS = {"fsync,fdatasync": 9, "pwrite64": 60, "pread64": 12}
"""The calls that may fail, and how many of them a thread makes at most."""


class Victim:
    """A data directory that a clerk has used, given anew to each one that runs into a fault."""

    def __init__(self, home: Path) -> None:
        self._data, self._before = home / "data", home / "before"
        self._trace = home / "trace"
        self._disk, self._said = Disk(self._data), Said()
        assert 0 == self._clerk(self._disk, self._said, range(4))
        shutil.copytree(self._data, self._before)

    def strike(self, fault: str, *sabotage: str) -> tuple[int, Verdict]:
        """Let a clerk run into *fault* and another one go on. Return the exit code of the first.

        What is safe at the end is compared with what all have said. No fault, no verdict on it.
        """
        shutil.rmtree(self._data)
        shutil.copytree(self._before, self._data)
        disk, said = copy.deepcopy((self._disk, self._said))
        code = self._clerk(disk, said, range(4, 28), *sabotage, inject=[fault])
        verdict = Verdict("A5 input/output errors")
        verdict.faults = self._trace.read_text().count("(INJECTED)")
        assert 0 == self._clerk(disk, said, range(28, 30))
        with tempfile.TemporaryDirectory(dir=memory_or(self._data.parent)) as scratch:
            for state in disk.states(random.Random(0), torn=0):
                judge(verdict.findings, state, said, Path(scratch))
        verdict.acknowledged = sum(said.values())
        return code, verdict

    def _clerk(
        self, disk: Disk, said: Said, numbers: range, *sabotage: str, inject: Sequence[str] = ()
    ) -> int:
        code = traced(clerk(self._data, numbers, *sabotage), self._trace, *inject)
        for call in calls(self._trace):
            if not heard(said, call):
                disk.follow(call)
        return code


def test_nothing_acknowledged_is_lost_when_a_call_fails(
    tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Whichever call it is: the process ends with 74, and the next one finds everything."""
    needs("strace")
    dice, victim = random.Random(seed), Victim(tmp_path)
    verdict = Verdict("A5 input/output errors")
    while verdict.faults < FAULTS:
        call = dice.choice(list(CALLS))
        fault = f"{call}:error=EIO:when={dice.randint(1, CALLS[call])}"
        code, found = victim.strike(fault)
        if code == NOT_EVEN_PYTHON:  # the loader of the system was struck
            continue
        assert code == (STORAGE_BROKE if found.faults else 0), f"{fault} ended with {code}"
        verdict.faults += bool(found.faults)
        verdict.acknowledged += found.acknowledged
        verdict.add(found.findings)
    conclude(verdict)


def test_a_store_that_goes_on_is_caught(tmp_path: Path) -> None:
    """Where an error of the disk is swallowed, acknowledged writes are lost, and that is found."""
    needs("strace")
    victim = Victim(tmp_path)
    faults = (f"fdatasync:error=EIO:when={number}" for number in range(1, 10))
    found = (victim.strike(fault, "swallow_storage_errors")[1].findings for fault in faults)
    assert any(findings.lost for findings in found)


def test_a_server_says_so_and_leaves(
    tmp_path: Path,
    sqlite_settings: DatabaseSettings,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """Whoever waits hears 503, the process ends within seconds, and a new one has everything."""
    needs("strace")
    server, history = Server(tmp_path, sqlite_settings), History(tmp_path / "history")
    verdict = Verdict("A5 fsync fails in a server", sized(1, 4, 60))
    dice, path = random.Random(seed), sqlite_settings.path
    for number in range(verdict.faults):
        fault = f"fdatasync:error=EIO:when={dice.randint(10, 60)}"
        load = Load(server, history, f"{seed}-{number}")
        with server.running() as process, striking(process.pid, path, fault), load:
            assert STORAGE_BROKE == process.wait(20), server.log
    with server.running() as process:
        verdict.add(oracle.judge(server, history, verdict.faults))
    verdict.add(oracle.judge_file(Path(path)))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    assert any("503 storage_broken" in str(write.answer) for write in history.writes)
    conclude(verdict)
