"""The figures that are taken of every peer, and what becomes of their rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

Records = list[dict[str, Any]]


class Figure(NamedTuple):
    """One column: what it is and which end of it is the good one."""

    key: str
    heading: str
    digits: int = 0
    more_is_better: bool = False

    @property
    def best(self) -> Callable[[list[float]], float]:
        """Return the better end of values."""
        return max if self.more_is_better else min


FIGURES = (
    Figure("one_16_steps_per_s", "one-step runs/s", more_is_better=True),
    Figure("ten_16_steps_per_s", "ten-step runs: steps/s", more_is_better=True),
    Figure("one_1_step_ms", "one-step run alone, ms", 2),
    Figure("ten_1_step_ms", "one of ten steps alone, ms", 2),
    Figure("ten_1_step_kib", "KiB per step, alone", 1),
    Figure("ten_16_step_kib", "KiB per step, 16 in flight", 1),
    Figure("survivors", "survivors of 20", more_is_better=True),
    Figure("cold_s", "cold start, s", 2),
    Figure("rss_mib", "idle RSS, MiB"),
    Figure("pss_mib", "idle PSS, MiB"),
    Figure("idle_cpu_ms_per_s", "idle CPU, ms/s", 1),
    Figure("idle_bytes_per_s", "idle bytes/s"),
)
_NOT_COMPARED = ("survivors", "idle_bytes_per_s")
_NOT_BRIEF = ("one_1_step_ms", "ten_1_step_kib", "pss_mib", "cold_s", "idle_cpu_ms_per_s")
COMPARED = tuple(figure for figure in FIGURES if figure.key not in _NOT_COMPARED)
BRIEF = tuple(figure for figure in FIGURES if figure.key not in (*_NOT_BRIEF, "idle_bytes_per_s"))


def values(records: Records, peer: str, key: str) -> dict[int, float]:
    """Return what figure *key* of *peer* was in each round that has it."""
    return {
        record["round"]: record["figures"][key]
        for record in records
        if record["peer"] == peer and key in record["figures"]
    }


def ratio(records: Records, figure: Figure, ours: str, peer: str) -> float | None:
    """Return how many times better *ours* is than *peer*: the median of the ratios of each round.

    Rounds that only one of them has do not count; None when nothing can be compared.
    """
    mine, theirs = values(records, ours, figure.key), values(records, peer, figure.key)
    pairs = [(mine[number], theirs[number]) for number in mine if number in theirs]
    if not figure.more_is_better:
        pairs = [(b, a) for a, b in pairs]
    if not pairs or any(under <= 0 for _, under in pairs):
        return None
    return statistics.median(over / under for over, under in pairs)
