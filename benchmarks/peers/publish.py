"""Shows kept results: `python -m benchmarks.peers.publish benchmarks/results/X.json`.

It writes the tables and the plot beside the file, and the short table into the README.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.peers import plot, table
from benchmarks.peers.peer import ROOT

BEGIN, END = "<!-- peers -->", "<!-- end of peers -->"


def published(readme: str, results: table.Results) -> str:
    """Return *readme* with the table of *results* between its marks.

    Raises:
        ValueError: it has no marks.

    """
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"The README has no place for the table: {BEGIN} ... {END}")
    text = f"{table.brief(results)}\n\n{table.where(results)}"
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def tell(results: table.Results, directory: Path) -> None:
    """Write the tables and the plot of *results* into *directory*."""
    (directory / "peers.md").write_text(table.page(results))
    (directory / "peers.svg").write_text(plot.svg(results))


def main(path: str) -> None:
    """Write all that shows the results in *path*."""
    results = json.loads(Path(path).read_text())
    tell(results, Path(path).parent)
    readme = ROOT / "README.md"
    readme.write_text(published(readme.read_text(), results))


if __name__ == "__main__":
    main(*sys.argv[1:])
