"""What a scenario found out, as a line of the table that a reliability run ends with."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from .oracle import Findings

PROPERTY = "verdict"
_HEAD = ("scenario", "faults", "acknowledged", "lost", "doubled", "corrupt", "p50 s", "p99 s")

Record = Callable[[str, object], None]
"""Keeps a property of a test; it also comes back from the processes of xdist."""


class Verdict(msgspec.Struct):
    """Faults injected, writes acknowledged, what went wrong, and the seconds until ready again."""

    scenario: str
    faults: int = 0
    acknowledged: int = 0
    findings: Findings = msgspec.field(default_factory=Findings)
    recoveries: list[float] = []

    def add(self, findings: Findings) -> None:
        """Take in what another look has found."""
        self.findings.lost += findings.lost
        self.findings.doubled += findings.doubled
        self.findings.corrupt += findings.corrupt

    def row(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        found = self.findings
        lists = (found.lost, found.doubled, found.corrupt)
        return (
            self.scenario,
            str(self.faults),
            str(self.acknowledged),
            *(str(len(wrong)) for wrong in lists),
            *(_seconds(self.recoveries, cut) for cut in (50, 99)),
        )


def _seconds(values: list[float], percentile: int) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{statistics.quantiles(values, n=100, method='inclusive')[percentile - 1]:.2f}"


def table(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the lines of the table as Markdown."""
    rows = [_HEAD, *(verdict.row() for verdict in sorted(verdicts, key=lambda v: v.scenario))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """End with the table of what every scenario found, also of those that failed."""
    verdicts = [
        msgspec.json.decode(str(value), type=Verdict)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if verdicts:
        terminalreporter.section("reliability")
        for line in table(verdicts):
            terminalreporter.write_line(line)
