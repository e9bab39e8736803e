"""The examples of docs/workflows.md. A block that begins with ```yaml run is a workflow that runs.

It runs in the first project of the page, with the functions of its Python block as `tools.py`.
The comments at its head say what with and what comes out:

    # input: {"item": "pen"}        the input of the run, as JSON
    # signal: approved {"ok": true} a signal that is sent once the run waits, and its payload
    # output: {"total": 10.0}       the output of the run
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

PAGE = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text()
_BLOCK = re.compile(r"^```(\w+)( run)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SAID = re.compile(r"^# (input|output|signal): (?:([\w.-]+) )?(\{.*\})$", re.MULTILINE)


class Example(NamedTuple):
    """A block of YAML: `runs` says whether it is a workflow that can be run as it is."""

    text: str
    runs: bool
    input: dict[str, Any]
    output: dict[str, Any] | None
    signals: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def id(self) -> str:
        """The id of the workflow that it is."""
        return self.text.partition("\nid: ")[2].partition("\n")[0]

    @property
    def name(self) -> str:
        """What to call it in a test."""
        lines = (line for line in self.text.splitlines() if not line.startswith("#"))
        return next(lines).removeprefix("- ")


def _example(text: str, runs: bool) -> Example:
    said = [(what, name, json.loads(value)) for what, name, value in _SAID.findall(text)]
    values = {what: value for what, _name, value in said}
    signals = tuple((name, value) for what, name, value in said if what == "signal")
    return Example(text, runs, values.get("input", {}), values.get("output"), signals)


_BLOCKS = _BLOCK.findall(PAGE)
TOOLS = next(text for language, _run, text in _BLOCKS if language == "python")
EXAMPLES = [_example(text, bool(run)) for language, run, text in _BLOCKS if language == "yaml"]
PROJECT = next(example.text for example in EXAMPLES if example.text.startswith("name:"))
