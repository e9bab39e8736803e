"""What a clerk has said, and what is left of it on a disk that may be in any state."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from .clerk import SECRET, text_of
from .oracle import Findings
from .powerloss import State
from .trace import Call

Said = dict[str, int]
"""The version of each thing that was acknowledged last."""


def clerk(data: Path, numbers: range, *sabotage: str) -> list[str]:
    """Return the command of a clerk that stores texts with these numbers in *data*."""
    first, last = str(numbers.start), str(numbers.stop)
    return [sys.executable, "-m", "tests.reliability.clerk", str(data), first, last, *sabotage]


def heard(said: Said, call: Call) -> bool:
    """Note what was acknowledged, if *call* is that."""
    if call.name not in ("said", "write") or "pipe:" not in call.files[0]:
        return False
    for line in call.data.decode().splitlines():
        _, name, version = line.split()
        said[name] = int(version)
    return True


def judge(findings: Findings, state: State, said: Said, scratch: Path) -> None:
    """Open what is left, in the empty directory *scratch*, and compare it with what was said."""
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
