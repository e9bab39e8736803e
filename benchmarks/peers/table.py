"""The results as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.figures import BRIEF, COMPARED, FIGURES, Figure, ratio, values

Results = dict[str, Any]
NOTHING = "-"


def page(results: Results) -> str:
    """Return everything that is told of a measurement."""
    parts = [
        where(results),
        "The medians of the rounds, and the best in brackets:",
        medians(results),
        "How many times better Compozy is on the same kind of database, in the same round:",
        ratios(results, COMPARED),
        "How durable each was:",
        durability(results),
    ]
    if results["failures"]:
        parts += ["What failed:", failures(results)]
    return "\n\n".join(parts) + "\n"


def where(results: Results) -> str:
    """Return when and on what *results* were measured."""
    machine, plan = results["machine"], results["plan"]
    return (
        f"Measured {results['date']} at commit {results['commit']} on {machine['cores']} cores "
        f"({machine['cpu']}), {machine['flushes_per_s']:,} flushes of 4 KiB a second, "
        f"Python {machine['python']}. {plan['rounds']} rounds of {plan['seconds']:g} s a figure, "
        f"seed {results['seed']}. "
        f"Load of the machine before: {machine['load_average']:.1f}. {results['note']}"
    ).strip()


def durability(results: Results) -> str:
    """Return a line for each peer: its version and what it does to keep what it has done."""
    return "\n".join(
        f"- {peer['title']} {peer['version']}: {peer['promise']}"
        + "".join(f"; {peer[fact]}" for fact in ("durability", "postgres") if peer.get(fact))
        for peer in results["peers"].values()
        if not peer["missing"]
    )


def medians(results: Results, figures: Sequence[Figure] = FIGURES) -> str:
    """Return a row for each peer: the median of its rounds, and the best of them in brackets."""

    def cell(peer: str, figure: Figure) -> str:
        found = list(values(results["records"], peer, figure.key).values())
        if not found:
            return NOTHING
        return f"{_median(found, figure)} ({_number(figure.best(found), figure)})"

    return _table(results, list(results["peers"]), figures, cell)


def ratios(results: Results, figures: Sequence[Figure] = FIGURES) -> str:
    """Return how many times better Compozy is than each peer on the same kind of database."""
    peers = results["peers"]

    def cell(peer: str, figure: Figure) -> str:
        return _times(results, peer, figure) or NOTHING

    others = [name for name in peers if name != peers[name]["beside"]]
    return _table(results, others, figures, cell)


def brief(results: Results, figures: Sequence[Figure] = BRIEF) -> str:
    """Return a row for each peer: medians, and how many times better Compozy is in brackets."""

    def cell(peer: str, figure: Figure) -> str:
        found = list(values(results["records"], peer, figure.key).values())
        if not found:
            return NOTHING
        times = None if figure.key == "survivors" else _times(results, peer, figure)
        return f"{_median(found, figure)} ({times})" if times else _median(found, figure)

    return _table(results, list(results["peers"]), figures, cell)


def failures(results: Results) -> str:
    """Return a line for each round of a peer that failed, with the reason."""
    return "\n".join(
        f"- {results['peers'][failure['peer']]['title']}, round {failure['round'] + 1}: "
        f"{failure['reason']}"
        for failure in results["failures"]
    )


def _table(
    results: Results,
    peers: Sequence[str],
    figures: Sequence[Figure],
    cell: Callable[[str, Figure], str],
) -> str:
    rows = [["", *(figure.heading for figure in figures)], ["---"] + ["--:"] * len(figures)]
    for name in peers:
        peer = results["peers"][name]
        if peer["missing"]:
            rows.append([peer["title"], f"not measured: {peer['missing']}"])
        else:
            rows.append([peer["title"], *(cell(name, figure) for figure in figures)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _times(results: Results, peer: str, figure: Figure) -> str | None:
    ours = results["peers"][peer]["beside"]
    times = None if ours == peer else ratio(results["records"], figure, ours, peer)
    if times is None:
        return None
    return f"{times:,.0f} x" if times >= 10 else f"{times:.2g} x"


def _median(found: list[float], figure: Figure) -> str:
    return _number(statistics.median(found), figure)


def _number(value: float, figure: Figure) -> str:
    digits = figure.digits or int(value < 10 and value != round(value))
    return f"{value:,.{digits}f}"
