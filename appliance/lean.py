"""Lean imports: a library without the parts of it that nobody here uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_rich() -> Iterator[None]:
    """Keep what is imported meanwhile from importing rich.

    structlog and httpx do so wherever rich is installed, for tracebacks in colour and for a program
    of their own. That would double their cost in time and memory at every start.
    """
    loaded = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["rich"]
        if loaded is not None:
            sys.modules["rich"] = loaded
