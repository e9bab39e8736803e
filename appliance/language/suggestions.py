"""Did you mean: the known names that are nearest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable

MAX_SUGGESTIONS = 2
_MAX_NAME = 100
_MAX_KNOWN = 1000
"""Comparing with more names than these would take longer than the help is worth."""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to two of *known* that *name* may stand for, the likeliest first."""
    from difflib import get_close_matches

    wanted = _fold(name[:_MAX_NAME])
    names = sorted(known, reverse=True)
    if len(names) > _MAX_KNOWN:
        return []
    by_fold = {_fold(other): other for other in names}
    prefixed = sorted(fold for fold in by_fold if len(wanted) > 1 and fold.startswith(wanted))
    close = get_close_matches(wanted, by_fold, MAX_SUGGESTIONS)
    return [by_fold[fold] for fold in dict.fromkeys((*close, *prefixed))][:MAX_SUGGESTIONS]


def hint(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for a name that is not known, or the empty text."""
    found = nearest(name, known)
    return f"; did you mean {' or '.join(repr(other) for other in found)}?" if found else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
