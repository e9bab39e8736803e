"""Random workflows of all types, nested, under random failures, commands and crashes."""

from __future__ import annotations

import pytest

from .adversary import torment

STEPS = 100_000
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens(part: int) -> None:
    """No task completes twice, no run ends before its children, every run ends or waits by name."""
    first = part * 10**6
    assert torment(range(first, first + 10**6), STEPS // PARTS) >= STEPS // PARTS
