"""Random workflows of all types, nested, under random failures, commands and crashes."""

from __future__ import annotations

import pytest

from .adversary import torment

IN_CI, IN_FULL = 40_000, 100_000
"""What is done to runs in all."""
PARTS = 4


@pytest.mark.parametrize("steps", [IN_CI, pytest.param(IN_FULL, marks=pytest.mark.reliability)])
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens(part: int, steps: int) -> None:
    """No task completes twice, no run ends before its children, every run ends or waits by name."""
    first = part * 10**6
    assert torment(range(first, first + 10**6), steps // PARTS) >= steps // PARTS
