"""Searching text in files: `cp__grep`."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import Any, Iterator  # noqa: UP035 - runs on 3.9

from . import jail
from .arguments import flag, invalid, text, texts, whole
from .files import SIZE_LIMIT
from .grant import Grant
from .jail import Spot
from .listing import GONE, shown, walk

MATCHES, MOST_MATCHES = 100, 1000
LONGEST_LINE = 500
"""Characters of a line that are shown."""


def grep(
    grant: Grant,
    *,
    pattern: Any,
    path: Any,
    recursive: Any = None,
    ignore_case: Any = None,
    exclude: Any = None,
    max_results: Any = None,
) -> dict[str, Any]:
    """Return the lines of text files in which a regular expression is found.

    Files that are binary or too large are left out and counted as skipped.
    """
    given, patterns = text("path", path), texts("exclude", exclude)
    deep = flag("recursive", recursive, True)
    most = whole("max_results", max_results, MATCHES, 1, MOST_MATCHES)
    expression = _compile(text("pattern", pattern), flag("ignore_case", ignore_case, False))
    matches: list[dict[str, Any]] = []
    searched = skipped = 0
    with jail.find(grant, given) as spot:
        for name, data in _texts(spot, deep, patterns):
            searched, skipped = searched + (data is not None), skipped + (data is None)
            matches += _matches(name, data or "", expression, most + 1 - len(matches))
            if len(matches) > most:
                break
    return {
        "matches": matches[:most],
        "files_searched": searched,
        "files_skipped": skipped,
        "truncated": len(matches) > most,
    }


def _compile(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, RecursionError, OverflowError) as error:
        raise invalid(f"'pattern' is not a regular expression: {error}.") from None


def _texts(spot: Spot, deep: bool, exclude: list[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the path and the text of each file, None in place of a text that is none."""
    if not spot.is_directory:
        spot.require()
        yield spot.given, _read(spot.open(os.O_RDONLY))
        return
    for entry in walk(spot, recursive=deep, exclude=exclude):
        if entry.child.kind == "file":
            with contextlib.suppress(*GONE), entry.child.opened(entry.directory) as node:
                # Looked at again once it is open: the name may mean something else by now.
                found = os.fstat(node)
                if stat.S_ISREG(found.st_mode) and not spot.guard.forbids(found):
                    yield shown(spot.given, entry.path), _read(jail.reopen(node, os.O_RDONLY))


def _read(descriptor: int) -> str | None:
    with open(descriptor, "rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    return None if len(data) > SIZE_LIMIT or b"\0" in data else data.decode("utf-8", "replace")


def _matches(
    path: str, content: str, expression: re.Pattern[str], most: int
) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content.split("\n"), 1):
        if most <= 0:
            return
        if expression.search(line):
            most -= 1
            yield {"path": path, "line": number, "text": line[:LONGEST_LINE].rstrip("\r")}
