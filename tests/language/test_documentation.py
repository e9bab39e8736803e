"""What docs/workflows.md shows can be copied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.language.durations import parse_duration
from appliance.language.expressions import MAX_LENGTH, MAX_STEPS
from appliance.language.model import RetryPolicy
from appliance.language.yaml import load

from .conftest import Files

PAGE = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
FUNCTIONS = {
    "price": "item, quantity",
    "note": "text",
    "ping": "host",
    "resize": "url",
    "render": "",
    "render_plain": "",
    "upload": "",
}
AROUND = """\
id: w
tasks:
- { id: price, tool: price, with: { item: a, quantity: 1 }, on_success: { next: %s } }
"""
ASK = "- { id: ask, tool: note, with: { text: a } }\n"


@pytest.mark.parametrize("block", BLOCKS, ids=[block.partition("\n")[0] for block in BLOCKS])
def test_every_example_of_the_page_loads(files: Files, block: str) -> None:
    """Workflows, tasks and the project itself are free of mistakes."""
    tools = "".join(f"def {name}({given}): ...\n" for name, given in FUNCTIONS.items())
    files.write({"tools.py": tools})
    if block.startswith("name:"):
        workflow = "id: w\ntasks: [{id: a, tool: note, with: {text: x}}]"
        files.write({"compozy.yaml": block, "workflows/order.yaml": workflow})
        assert ("shop", ()) == (files.load().name, files.load().warnings)
    elif block.startswith("- id: "):
        first = block.split()[2]
        files.workflow(AROUND % first + block + (ASK if "expensive: ask" in block else ""))
    elif block.startswith("config:"):
        files.workflow(block + "id: w\ntasks: [{id: a, tool: note, with: {text: x}}]")
    else:
        files.workflow(block)


def test_the_defaults_of_the_page_are_those_of_the_model() -> None:
    """The retry policy that is shown is the one that nobody has to write."""
    block = next(block for block in BLOCKS if "retry_policy" in block)
    shown = load(block, "page").data["config"]["retry_policy"]
    default = RetryPolicy()

    assert shown["maximum_attempts"] == default.maximum_attempts
    assert shown["backoff_coefficient"] == default.backoff_coefficient
    assert parse_duration(shown["initial_interval"]) == default.initial_interval
    assert parse_duration(shown["maximum_interval"]) == default.maximum_interval


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    """Who reads a number can rely on it."""
    assert f"at most {MAX_LENGTH:,} characters" in PAGE
    assert 4_000_000 == MAX_STEPS
    assert "at most four million" in PAGE
