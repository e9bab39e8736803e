"""Secrets that are planted in a server, and all the places where one of them could turn up."""

from __future__ import annotations

import base64
import io
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

Places = dict[str, bytes]
"""What is in each place where somebody may look, by a name for people."""


def leaks(places: Places, secrets: Mapping[str, str]) -> list[str]:
    """Return which secret is in which place, in any of the ways to write it."""
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, content in places.items()
        if any(form in content for form in _forms(secret))
    ]


def _forms(secret: str) -> set[bytes]:
    data = secret.encode()
    shifted = {base64.b64encode(b"\0" * n + data)[4:-4] for n in range(3)}
    forms = {data.hex().encode(), quote(secret, safe="").encode(), data[::-1], *shifted}
    return {data, *(form for form in forms if len(form) >= 8)}


def files(home: Path, allowed: set[Path]) -> Places:
    """Return every file below *home*, and what is packed in it, but for those *allowed* to know."""
    found: Places = {}
    for path in home.rglob("*"):
        if path.is_file() and path not in allowed:
            found[str(path.relative_to(home))] = content = path.read_bytes()
            if zipfile.is_zipfile(io.BytesIO(content)):
                found |= _unpacked(path.name, content)
    return found


def _unpacked(name: str, content: bytes) -> Places:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {f"{name}: {member}": archive.read(member) for member in archive.namelist()}


def sqlite_rows(path: Path) -> Places:
    """Return every row, as somebody sees it who has the file."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return {"the dump": "\n".join(db.iterdump()).encode()}


def postgres_rows(conninfo: str) -> Places:
    """Return every row of every table, as somebody sees it who has the database."""
    with psycopg.connect(conninfo) as db:
        tables = db.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        ).fetchall()
        return {
            f"the table {name}": str(
                db.execute(f'SELECT t::text FROM "{name}" t').fetchall()
            ).encode()
            for (name,) in tables
        }


def processes(root: int) -> Places:
    """Return how each process below *root* was called and what it knows; of *root* how it was called."""
    found = {f"the command line of {root}": _proc(root, "cmdline")}
    for pid in _descendants(root):
        found[f"the command line of {pid}"] = _proc(pid, "cmdline")
        found[f"the environment of {pid}"] = _proc(pid, "environ")
    return found


def _proc(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""  # it has just ended


def _descendants(root: int) -> Iterator[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _proc(int(entry.name), "stat")):
            parents[int(entry.name)] = int(stat.rpartition(b")")[2].split()[1])
    for pid in parents:
        above = pid
        while above in parents and above != root:
            above = parents[above]
        if above == root and pid != root:
            yield pid
