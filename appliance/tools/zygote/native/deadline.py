"""A deadline for whatever blocks: a signal interrupts it, so that no step needs a time of its own."""

from __future__ import annotations

import contextlib
import signal
from typing import Any, Iterator  # noqa: UP035 - runs on 3.9


class Late(Exception):
    """The time is used up. It is no OSError, so nothing on the way takes it for a fault of its own."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise Late in the block when it takes longer. For the main thread."""
    former = signal.signal(signal.SIGALRM, _ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _ring(*_: Any) -> None:
    raise Late
