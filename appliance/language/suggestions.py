"""Did you mean: the known name that is nearest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_NAME = 100
_MAX_KNOWN = 1000
"""Comparing with more names than these would take longer than the help is worth."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *name* was probably meant to be, or begins."""
    from difflib import get_close_matches

    wanted = _fold(name[:_MAX_NAME])
    names = sorted(known, reverse=True)
    if len(names) > _MAX_KNOWN:
        return None
    by_fold = {_fold(other): other for other in names}
    prefixed = sorted(fold for fold in by_fold if len(wanted) > 1 and fold.startswith(wanted))
    found = [*get_close_matches(wanted, by_fold, 1), *prefixed]
    return by_fold[found[0]] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for a name that is not known, or the empty text."""
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
