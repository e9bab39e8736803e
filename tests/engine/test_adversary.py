"""Random workflows of all types, nested, under random failures, commands and crashes."""

from __future__ import annotations

import pytest

from .adversary import torment

IN_CI, IN_FULL = 100_000, 1_000_000
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens(part: int) -> None:
    """No task completes twice, no run ends before its children, every run ends or waits by name."""
    first = part * 10**6
    assert torment(range(first, first + 10**6), IN_CI // PARTS) >= IN_CI // PARTS


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_for_long(part: int) -> None:
    """The same for a million steps of other runs."""
    first = (10 + part) * 10**6
    assert torment(range(first, first + 10**6), IN_FULL // PARTS) >= IN_FULL // PARTS
