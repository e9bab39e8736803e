"""The results as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.figures import COMPARED, FIGURES, Figure, ratio, values

Results = dict[str, Any]
NOTHING = "-"


def page(results: Results) -> str:
    """Return everything that is told of a measurement."""
    parts = [
        _where(results),
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


def _where(results: Results) -> str:
    machine, plan = results["machine"], results["plan"]
    return (
        f"Measured {results['date']} at commit {results['commit']} on {machine['cores']} cores "
        f"({machine['cpu']}), {machine['flushes_per_s']:,} flushes of 4 KiB a second, "
        f"Python {machine['python']}. {plan['rounds']} rounds of {plan['seconds']:g} s a figure, "
        f"seed {results['seed']}. "
        f"Load of the machine before: {machine['load_average']:.1f}."
    )


def durability(results: Results) -> str:
    """Return a line for each peer: its version and what it does to keep what it has done."""
    return "\n".join(
        f"- {peer['title']} {peer['version']}: {peer['promise']}"
        + "".join(f"; {peer[fact]}" for fact in ("durability", "postgres") if peer.get(fact))
        for peer in results["peers"].values()
        if not peer["missing"]
    )


def medians(results: Results, figures: Sequence[Figure] = FIGURES, *, best: bool = True) -> str:
    """Return a row for each peer with the medians of its rounds; *best* adds the best in brackets."""

    def cell(peer: str, figure: Figure) -> str:
        found = list(values(results["records"], peer, figure.key).values())
        if not found:
            return NOTHING
        median = _number(statistics.median(found), figure.digits)
        return f"{median} ({_number(figure.best(found), figure.digits)})" if best else median

    return _table(results, list(results["peers"]), figures, cell)


def ratios(results: Results, figures: Sequence[Figure] = FIGURES) -> str:
    """Return how many times better Compozy is than each peer on the same kind of database."""
    peers = results["peers"]

    def cell(peer: str, figure: Figure) -> str:
        times = ratio(results["records"], figure, peers[peer]["beside"], peer)
        return NOTHING if times is None else f"{times:,.{0 if times >= 10 else 1}f} x"

    others = [name for name in peers if name != peers[name]["beside"]]
    return _table(results, others, figures, cell)


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


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"
