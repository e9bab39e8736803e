"""A README as somebody reads it: what is typed, and what is seen then.

A block of `sh` is typed, line after line, into one terminal in the directory of the example. The
block of `text` right after it is what the terminal shows; without one it shows nothing. In a text

    …             stands for anything in a line, such as an id or a time
    …, alone      stands for any lines, or none

and how many blanks there are does not count. A last line that is `compozy.pyz start` is typed into
a terminal of its own, where the server that ran there before was stopped with Ctrl-C.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

START = "compozy.pyz start"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


class Step(NamedTuple):
    """Lines to type, whether the last one of the block starts a server, and what is seen."""

    typed: str
    starts: bool
    seen: str


def steps(readme: str) -> Iterator[Step]:
    """Go through what a README has people do. No block but `sh` and `text` may be there."""
    blocks = list(_BLOCK.finditer(readme))
    assert {"sh", "text"} >= {block[1] for block in blocks}
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block[1] == "sh":
            shown = following is not None and following[1] == "text"
            typed = block[2].removesuffix(f"{START}\n")
            yield Step(typed, typed != block[2], following[2] if following and shown else "")


def fits(seen: str, shown: str) -> bool:
    """Whether a terminal shows what the README says."""
    pattern = "".join(_line(line) for line in shown.splitlines())
    lines = "".join(f"{' '.join(line.split())}\n" for line in seen.splitlines())
    return re.fullmatch(pattern, lines) is not None


def _line(line: str) -> str:
    if line == "…":
        return r"(.*\n)*?"
    return re.escape(" ".join(line.split())).replace("…", ".*") + r"\n"
