"""A3: the power goes after every single system call, and what is left is looked at.

A process of the store is traced while it writes (`clerk.py`); what the disk may hold after each of
its calls is made again in memory (`powerloss.py`) and opened with SQLite.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from .machine import memory_or, needs
from .powerloss import Disk
from .remains import Said, clerk, heard, judge
from .tiers import sized
from .trace import calls, traced
from .verdict import Verdict

TEXTS = sized(40, 160, 1000)
TORN = sized(1, 2, 2)


def replayed(tmp_path: Path, seed: str, texts: int, torn: int, *sabotage: str) -> Verdict:
    """Let a clerk write *texts* texts, and look at every state that a power cut may leave."""
    data, dice = tmp_path / "data", random.Random(seed)
    verdict = Verdict("A3 power loss, replayed")
    assert 0 == traced(clerk(data, range(texts), *sabotage), tmp_path / "trace")
    disk, said, seen = Disk(data), Said(), set[int]()
    with tempfile.TemporaryDirectory(dir=memory_or(tmp_path)) as scratch:
        for call in calls(tmp_path / "trace"):
            if not heard(said, call) and not disk.follow(call):
                continue
            for state in disk.states(dice, torn):
                look = hash((tuple(sorted(state.items())), tuple(said.items())))
                if look not in seen:
                    seen.add(look)
                    verdict.faults += 1
                    judge(verdict.findings, state, said, Path(scratch))
    verdict.acknowledged = sum(said.values())
    return verdict


def test_nothing_acknowledged_is_lost_wherever_the_power_goes(
    tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """After every system call: the database opens, is sound, and has what was acknowledged."""
    needs("strace")
    verdict = replayed(tmp_path, seed, TEXTS, TORN)
    assert verdict.acknowledged > TEXTS
    assert verdict.faults > 5 * TEXTS
    conclude(verdict)


def test_a_store_that_does_not_wait_for_the_disk_is_caught(tmp_path: Path, seed: str) -> None:
    """With `synchronous=NORMAL` acknowledged writes are lost, and nothing is corrupt."""
    needs("strace")
    found = replayed(tmp_path, seed, 12, 1, "synchronous_normal").findings
    assert found.lost
    assert not found.corrupt


def test_a_file_that_is_renamed_too_early_is_caught(tmp_path: Path, seed: str) -> None:
    """A secret that takes its place before it is on disk may be empty after a power cut."""
    needs("strace")
    assert replayed(tmp_path, seed, 3, 2, "forget_to_sync_files").findings.corrupt
