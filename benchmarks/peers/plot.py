"""The results as a picture: four panels of bars, each on a logarithmic scale, the best on top."""

from __future__ import annotations

import math
import statistics
from html import escape
from typing import Any

from benchmarks.peers.figures import FIGURES, Figure, values
from benchmarks.peers.measure import KILLED

PANELS = {
    "one_16_steps_per_s": "One-step runs per second, 16 in flight",
    "ten_16_steps_per_s": "Ten-step runs: steps per second, 16 in flight",
    "ten_1_step_ms": "Time of a step in a row, ms",
    "ten_16_step_kib": "Written per step, KiB, 16 in flight",
}
WIDTH, MARGIN, GAP = 980, 24, 36
PANEL = (WIDTH - 2 * MARGIN - GAP) / 2
NAMES, VALUES = 168, 56  # room for the names before the bars and the values after them
ROW, HEAD, FOOT = 24, 40, 30
BARS = PANEL - NAMES - VALUES

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #475569 }
.title { font-weight: 600; font-size: 14px; fill: #0f172a }
.note, .tick { font-weight: 400; font-size: 11px; fill: #64748b }
.grid { stroke: #e2e8f0 }
rect.peer { fill: #94a3b8 }
rect.loses { fill: #dbe2ea }
rect.ours { fill: #0d9488 }
text.ours { fill: #0f766e; font-weight: 600 }
"""


def svg(results: dict[str, Any]) -> str:
    """Return the picture."""
    measured = [name for name, peer in results["peers"].items() if not peer["missing"]]
    panel_height = HEAD + ROW * len(measured) + FOOT
    height = MARGIN * 2.5 + panel_height * 2 + GAP
    parts = []
    for place, (key, title) in enumerate(PANELS.items()):
        figure = next(figure for figure in FIGURES if figure.key == key)
        x = MARGIN + (place % 2) * (PANEL + GAP)
        y = MARGIN + (place // 2) * (panel_height + GAP)
        drawn = _panel(results, figure, title, measured)
        parts.append(f'<g transform="translate({x:.0f} {y:.0f})">{drawn}</g>')
    machine = results["machine"]
    note = (
        f"Medians of {results['plan']['rounds']} interleaved rounds on {machine['cores']} cores, "
        f"{results['date']}, commit {results['commit']}. Logarithmic scales. "
        "Pale: loses runs when it is killed."
    )
    parts.append(_text(MARGIN, height - MARGIN / 2, note, "note"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img" aria-label="Compozy and its peers">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" rx="8" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _panel(results: dict[str, Any], figure: Figure, title: str, names: list[str]) -> str:
    found = {
        name: statistics.median(rounds.values())
        for name in names
        if (rounds := values(results["records"], name, figure.key))
    }
    better = "more is better" if figure.more_is_better else "less is better"
    heading = f'{escape(title)} <tspan class="note" dx="6">{better}</tspan>'
    parts = [f'<text class="title" y="14">{heading}</text>']
    positive = [value for value in found.values() if value > 0]
    if not positive:
        return parts[0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    high = max(high, low + 1)
    bottom = HEAD + ROW * len(names) - 6
    for power in range(low, high + 1):
        x = NAMES + BARS * (power - low) / (high - low)
        parts.append(f'<path class="grid" d="M{x:.1f} {HEAD - 10}V{bottom}"/>')
        parts.append(_text(x, bottom + 15, f"{10**power:,g}", "tick", "middle"))
    ordered = sorted(found, key=lambda name: found[name], reverse=figure.more_is_better)
    for row, name in enumerate(ordered):
        peer, value = results["peers"][name], found[name]
        kind = _kind(results, name)
        y = HEAD + ROW * row
        length = BARS * (math.log10(value) - low) / (high - low) if value > 0 else 0
        parts += [
            _text(NAMES - 8, y + 8, peer["title"], kind, "end"),
            _bar(y - 4, max(length, 1.5), kind),
            _text(NAMES + length + 6, y + 8, _short(value), kind),
        ]
    return "".join(parts)


def _kind(results: dict[str, Any], name: str) -> str:
    if results["peers"][name]["beside"] == name:
        return "ours"
    survivors = values(results["records"], name, "survivors").values()
    return "loses" if survivors and min(survivors) < KILLED else "peer"


def _bar(y: float, length: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{length:.1f}" height="15" rx="2"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"
