"""Failpoints: named places at which a test may send this process a signal, to see what it leaves.

`APPLIANCE_FAIL=backup.copied:kill:2` kills it the second time it comes there. Any signal will do:
`term` asks it to stop there, `stop` halts it. Unless the environment says so, a place does nothing.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable

from appliance.errors import InvalidConfiguration

VARIABLE = "APPLIANCE_FAIL"

_FORM = re.compile(r"([a-z_]+\.[a-z_]+):([a-z]+):([1-9]\d*)")


class Trap:
    """Sends its own process a signal when it comes to a place for the n-th time."""

    def __init__(self, text: str) -> None:
        match = _FORM.fullmatch(text)
        name = f"SIG{match[2].upper()}" if match else ""
        if match is None or name not in signal.Signals.__members__:
            raise InvalidConfiguration(
                f"{VARIABLE} is {text!r}; write <place>:<signal>:<count>, or unset it."
            )
        self._place, self._signal, self._left = match[1], signal.Signals[name], int(match[3])
        self._lock = threading.Lock()

    def __call__(self, place: str, /) -> None:
        """Come to *place*."""
        if place != self._place:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)


def _pass(place: str, /) -> None:
    """Do nothing: so it is wherever nobody is testing."""


failpoint: Callable[[str], None] = Trap(os.environ[VARIABLE]) if VARIABLE in os.environ else _pass
