"""A3: the power goes after every single system call, and what is left is looked at.

A process of the store is traced while it writes (`clerk.py`); what the disk may hold after each of
its calls is made again in memory (`powerloss.py`) and opened with SQLite.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from .clerk import SECRET, text_of
from .machine import memory_or, needs
from .oracle import Findings
from .powerloss import Disk, State
from .tiers import sized
from .trace import Call, traced
from .verdict import Verdict

TEXTS = sized(60, 160, 1000)
TORN = sized(1, 2, 2)

Said = dict[str, int]
"""The version of each thing that was acknowledged last."""


def replayed(tmp_path: Path, seed: str, texts: int, torn: int, *sabotage: str) -> Verdict:
    """Let a clerk write *texts* texts, and look at every state that a power cut may leave."""
    data, dice = tmp_path / "data", random.Random(seed)
    verdict = Verdict("A3 power loss, replayed")
    command = [sys.executable, "-m", "tests.reliability.clerk", str(data), str(texts), *sabotage]
    disk, said, seen = Disk(data), Said(), set[int]()
    with tempfile.TemporaryDirectory(dir=memory_or(tmp_path)) as scratch:
        for call in traced(command, tmp_path / "trace"):
            if not _heard(said, call) and not disk.follow(call):
                continue
            for state in disk.states(dice, torn):
                look = hash((tuple(sorted(state.items())), tuple(said.items())))
                if look not in seen:
                    seen.add(look)
                    verdict.faults += 1
                    _judge(verdict.findings, state, said, Path(scratch))
    verdict.acknowledged = sum(said.values())
    return verdict


def _heard(said: Said, call: Call) -> bool:
    if call.name not in ("said", "write") or "pipe:" not in call.files[0]:
        return False
    for line in call.data.decode().splitlines():
        _, name, version = line.split()
        said[name] = int(version)
    return True


def _judge(findings: Findings, state: State, said: Said, scratch: Path) -> None:
    for name, content in state.items():
        (scratch / Path(name).name).write_bytes(content)
    try:
        found = _stored(scratch / "app.db") | _secret(scratch / SECRET)
    except (sqlite3.Error, ValueError) as error:
        findings.corrupt.append(f"after {len(said)} acknowledgements: {error}")
    else:
        findings.lost.extend(
            f"{name} was acknowledged in version {version}, there is {found.get(name)}"
            for name, version in said.items()
            if found.get(name, 0) < version
        )
    finally:
        for left in scratch.iterdir():
            left.unlink()


def _stored(path: Path) -> Said:
    """Return the versions in the database. Raises when it or a text is not whole."""
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as connection:
        for pragma in ("synchronous=OFF", "locking_mode=EXCLUSIVE"):  # nobody else is there
            connection.execute(f"PRAGMA {pragma}")
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            raise ValueError(sound)
        tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'resources'"
        if connection.execute(tables).fetchone() == (0,):
            return {}
        rows = connection.execute("SELECT id, version, text FROM resources").fetchall()
    for name, version, text in rows:
        if text != text_of(name, version):
            msg = f"{name} is not what was stored as version {version}"
            raise ValueError(msg)
    return {name: version for name, version, _ in rows}


def _secret(path: Path) -> Said:
    """Return the version of the secret. Raises when it is not whole."""
    if not path.exists():
        return {}
    text = path.read_text()
    _, version, *_ = text.split()
    if text != text_of(SECRET, int(version)) + "\n":
        msg = f"{SECRET} is half of version {version}"
        raise ValueError(msg)
    return {SECRET: int(version)}


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
    found = replayed(tmp_path, seed, 20, 1, "synchronous_normal").findings
    assert found.lost
    assert not found.corrupt


def test_a_file_that_is_renamed_too_early_is_caught(tmp_path: Path, seed: str) -> None:
    """A secret that takes its place before it is on disk may be empty after a power cut."""
    needs("strace")
    assert replayed(tmp_path, seed, 5, 2, "forget_to_sync_files").findings.corrupt
