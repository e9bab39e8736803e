"""Autoload: the files of a project that patterns find, so that nobody has to list them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from appliance.language.sections import Section

_LEFTOVER = re.compile(r"\.#.*|.*~|.*\.bak|.*\.swp|.*\.tmp|\._.*")
"""Names of files that editors leave behind."""
_BRACES = re.compile(r"(.*?)\{([^{}]*)\}(.*)", re.DOTALL)
_MAX_PATTERNS = 100


def find_files(section: Section, directory: Path) -> list[Path]:
    """Return what `include` finds and `exclude` does not, each file once; patterns are checked."""
    patterns = {key: section.texts(key) for key in ("include", "exclude")}
    enabled = section.flag("enabled")
    section.flag("watch_enabled")
    section.finish(("strict",))
    if not enabled:
        return []
    if not patterns["include"]:
        section.error("autoload needs 'include', a list of patterns")
    found, excluded = (list(_matches(section, key, patterns[key], directory)) for key in patterns)
    left_out = set(excluded)
    return [
        file
        for file in dict.fromkeys(found)
        if file not in left_out and not _LEFTOVER.fullmatch(file.name)
    ]


def _matches(
    section: Section, key: str, patterns: tuple[str, ...], directory: Path
) -> Iterator[Path]:
    for index, pattern in enumerate(patterns):
        for each in _expanded(pattern):
            if each.startswith("/") or ".." in Path(each).parts:
                section.error("a pattern cannot lead out of the project", key, index)
                continue
            try:
                found = sorted(directory.glob(f"{each}/*" if each.endswith("**") else each))
            except ValueError:
                section.error(f"{pattern!r} is not a pattern", key, index)
                continue
            yield from (file for file in found if file.is_file())


def _expanded(pattern: str) -> list[str]:
    """Return the patterns that `{a,b}` stands for."""
    todo, done = [pattern], list[str]()
    while todo and len(done) + len(todo) < _MAX_PATTERNS:
        match = _BRACES.fullmatch(each := todo.pop())
        if match:
            todo += [f"{match[1]}{part}{match[3]}" for part in match[2].split(",")]
        else:
            done.append(each)
    return done
