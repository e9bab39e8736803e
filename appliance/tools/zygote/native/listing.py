"""What is in a directory: `cp__list_files`, `cp__list_dir`, and the walk that others use too.

Links are shown and never followed. What is out of reach is not shown.
"""

from __future__ import annotations

import contextlib
import os
import stat
from fnmatch import fnmatchcase
from typing import Any, Iterator, NamedTuple  # noqa: UP035 - runs on 3.9

from . import jail
from .arguments import flag, text, texts, whole
from .grant import Grant
from .jail import Guard, Spot

MOST_FILES = 10_000
"""Names in one list of files."""

MOST_LEVELS = 100
"""Depth of directories that are walked."""

GONE = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What makes a walk go on without an entry: it is something else by now, or not for the server."""

PAGE, LONGEST_PAGE = 100, 1000

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


class Child(NamedTuple):
    """An entry of a directory. `kind` is file, directory, link or other."""

    name: str
    kind: str
    found: os.stat_result

    @contextlib.contextmanager
    def opened(self, directory: int) -> Iterator[int]:
        """Hold what has this name in *directory* by now; a link itself, not what it leads to."""
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        node = os.open(self.name, flags, dir_fd=directory)
        try:
            yield node
        finally:
            os.close(node)


class Entry(NamedTuple):
    """Something that a walk met: its path from where the walk began, and the directory it is in."""

    path: str
    child: Child
    directory: int


def children(directory: int) -> list[Child]:
    """Return the entries of an open directory, by name."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        with os.scandir(descriptor) as entries:
            found = [each for entry in entries for each in _child(entry)]
    finally:
        os.close(descriptor)
    return sorted(found)


def _child(entry: os.DirEntry[str]) -> Iterator[Child]:
    with contextlib.suppress(FileNotFoundError):  # it was deleted meanwhile
        found = entry.stat(follow_symlinks=False)
        yield Child(entry.name, _KINDS.get(stat.S_IFMT(found.st_mode), "other"), found)


def walk(spot: Spot, *, recursive: bool, exclude: list[str]) -> Iterator[Entry]:
    """Yield what is in a directory, each directory before what is in it.

    *exclude* are patterns; what they match is left out with all that is in it.
    """
    yield from _walk(spot.guard, spot.node, "", 0 if recursive else MOST_LEVELS, exclude)


def _walk(
    guard: Guard, directory: int, prefix: str, level: int, exclude: list[str]
) -> Iterator[Entry]:
    for child in children(directory):
        path = prefix + child.name
        hidden = guard.forbids_name(directory, child.name) or guard.forbids(child.found)
        if hidden or any(matches(path, pattern) for pattern in exclude):
            continue
        yield Entry(path, child, directory)
        if child.kind == "directory" and level < MOST_LEVELS:
            with contextlib.suppress(*GONE), child.opened(directory) as node:
                if not guard.forbids(os.fstat(node)):
                    yield from _walk(guard, node, f"{path}/", level + 1, exclude)


def matches(path: str, pattern: str) -> bool:
    """Tell whether a pattern with `*`, `?` and `[…]` fits: the path if it has a slash, or the name."""
    return fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)


def shown(given: str, path: str) -> str:
    """Return the path of an entry so that it can be given to the other tools."""
    joined = os.path.normpath(os.path.join(given, path))  # noqa: PTH118
    return os.fsencode(joined).decode("utf-8", "replace")


def list_files(
    grant: Grant,
    *,
    dir: Any,  # noqa: A002 - its name
    exclude: Any = None,
    recursive: Any = None,
) -> dict[str, Any]:
    """Return the paths of the files in a directory."""
    given, patterns = text("dir", dir), texts("exclude", exclude)
    deep = flag("recursive", recursive, False)
    files = []
    with jail.find(grant, given) as spot:
        spot.require(directory=True)
        for entry in walk(spot, recursive=deep, exclude=patterns):
            if entry.child.kind == "file":
                files.append(shown(given, entry.path))
                if len(files) > MOST_FILES:
                    break
    return {"files": files[:MOST_FILES], "truncated": len(files) > MOST_FILES}


def list_dir(
    grant: Grant,
    *,
    path: Any,
    pattern: Any = None,
    recursive: Any = None,
    include_files: Any = None,
    include_dirs: Any = None,
    page_size: Any = None,
    page_token: Any = None,
) -> dict[str, Any]:
    """Return what is in a directory, page by page: each but the last names the token of the next."""
    given, glob = text("path", path), text("pattern", "*" if pattern is None else pattern)
    deep = flag("recursive", recursive, False)
    files = flag("include_files", include_files, True)
    directories = flag("include_dirs", include_dirs, True)
    size = whole("page_size", page_size, PAGE, 1, LONGEST_PAGE)
    after = text("page_token", page_token or "").split("/")
    page: list[Entry] = []
    with jail.find(grant, given) as spot:
        spot.require(directory=True)
        for entry in walk(spot, recursive=deep, exclude=[]):
            wanted = directories if entry.child.kind == "directory" else files
            if wanted and matches(entry.path, glob) and entry.path.split("/") > after:
                page.append(entry)
                if len(page) > size:
                    break
    more = len(page) > size
    return {
        "entries": [_described(given, entry) for entry in page[:size]],
        "next_page_token": page[size - 1].path if more else "",
    }


def _described(given: str, entry: Entry) -> dict[str, Any]:
    found = entry.child.found
    return {
        "name": shown("", entry.child.name),
        "path": shown(given, entry.path),
        "type": entry.child.kind,
        "size": found.st_size if entry.child.kind == "file" else 0,
        "modified_at": int(found.st_mtime * 1000),
    }
