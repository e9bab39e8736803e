"""The examples of docs/workflows.md and other pages that run.

A block that begins with ```yaml run is a workflow. It runs in the first project of the page, with
the functions of its Python block as `tools.py`. The comments at its head say what with and what comes out:

    # input: {"item": "pen"}        the input of the run, as JSON
    # signal: approved {"ok": true} a signal that is sent once the run waits, and its payload
    # output: {"total": 10.0}       the output of the run
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

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
        return f"\n{self.text}".partition("\nid: ")[2].partition("\n")[0]

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


class Page:
    """A page of docs/ with the blocks in it. `project` is the first one that is a project."""

    def __init__(self, name: str) -> None:
        self.text = (Path(__file__).parents[2] / "docs" / name).read_text()
        blocks = _BLOCK.findall(self.text)
        yaml = [(text, run) for language, run, text in blocks if language == "yaml"]
        self.examples = [_example(text, bool(run)) for text, run in yaml]
        self.tools = next((text for language, _, text in blocks if language == "python"), "")
        self.project = next(each.text for each in self.examples if each.text.startswith("name:"))

    @property
    def running(self) -> dict[str, Example]:
        """The workflows that run, by id. Each says what comes out, and none hides another one."""
        found = {each.id: each for each in self.examples if each.runs}
        assert len(found) == sum(each.runs for each in self.examples)
        assert [] == [name for name, each in found.items() if each.output is None]
        return found


WORKFLOWS = Page("workflows.md")
NATIVE_TOOLS = Page("native-tools.md")
PAGE, EXAMPLES = WORKFLOWS.text, WORKFLOWS.examples
TOOLS, PROJECT = WORKFLOWS.tools, WORKFLOWS.project
