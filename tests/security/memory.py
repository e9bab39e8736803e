"""How much memory a process takes for what is done to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Growth:
    """The most that a process had more than before, in MiB; known at the end."""

    mib = 0.0


@contextmanager
def peak_growth(pid: int) -> Iterator[Growth]:
    """Measure from now on. The kernel keeps the peak, so nothing that is short is missed."""
    growth = Growth()
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    before = _mib(pid, "VmRSS")
    yield growth
    growth.mib = _mib(pid, "VmHWM") - before


def _mib(pid: int, what: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024
