"""Shows kept results in the README: `python -m benchmarks.peers.publish benchmarks/results/X.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.peers import table
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
    return f"{before}{BEGIN}\n\n{table.brief(results)}\n\n{END}{after}"


def main(path: str) -> None:
    """Write the README."""
    readme = ROOT / "README.md"
    readme.write_text(published(readme.read_text(), json.loads(Path(path).read_text())))


if __name__ == "__main__":
    main(*sys.argv[1:])
