"""The files of a project as they are on disk, to see whether one of them has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

CODE = (".py", ".ts", ".mts", ".js", ".mjs", ".cjs")
SOURCES = (".yaml", ".yml", ".json", *CODE)
_SKIPPED = frozenset({"__pycache__", "node_modules"})
_NO_SOURCES = frozenset({"instance.lock", "pyvenv.cfg"})
"""Files by which the data of a server and a virtual environment are known."""

Stamps = dict[str, tuple[int, int, int]]
"""Path -> when it was written in nanoseconds, size, number of the file."""


def stamps(
    directory: Path,
    suffixes: tuple[str, ...] = SOURCES,
    *,
    depth: int = 8,
    others: Iterable[Path] = (),
) -> Stamps:
    """Return the stamps of the sources below *directory*, of what is named like `.env`, and *others*.

    At most *depth* directories deep; hidden ones, virtual environments and what a server keeps
    there are left out.
    """
    found = {entry.path: _stamp(entry) for entry in _files(directory, suffixes, depth)}
    return found | {str(path): _stamp(path) for path in others}


def _files(
    directory: Path | str, suffixes: tuple[str, ...], depth: int
) -> Iterator[os.DirEntry[str]]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return  # it is gone again, or not ours to read
    if any(entry.name in _NO_SOURCES for entry in entries):
        return
    for entry in entries:
        if entry.is_file():
            if entry.name.endswith(suffixes) or entry.name.startswith(".env"):
                yield entry
        elif depth and entry.is_dir(follow_symlinks=False) and _is_source(entry.name):
            yield from _files(entry.path, suffixes, depth - 1)


def _is_source(name: str) -> bool:
    return not name.startswith(".") and name not in _SKIPPED


def _stamp(entry: os.DirEntry[str] | Path) -> tuple[int, int, int]:
    try:
        found = entry.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
