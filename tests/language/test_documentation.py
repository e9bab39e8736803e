"""What docs/workflows.md shows can be copied, and is all there is."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from appliance.language import definitions, loader, memories, tasks
from appliance.language.durations import parse_duration
from appliance.language.expressions import MAX_LENGTH, MAX_STEPS
from appliance.language.model import MemoryCall, RetryPolicy
from appliance.language.yaml import load
from appliance.tools.native import NATIVE, NOT_AVAILABLE

from .conftest import Files
from .page import EXAMPLES, PAGE, PROJECT, TOOLS, Example

SMALL = "id: other\ntasks: [{id: a, tool: note, with: {text: x}}]"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_example_of_the_page_loads(files: Files, example: Example) -> None:
    """Workflows, options and projects are free of mistakes, and of what has no effect."""
    project, workflow = PROJECT, example.text
    if example.text.startswith("name:"):
        project, workflow = example.text, SMALL
    elif example.text.startswith("config:"):
        workflow = example.text + SMALL
    files.write({"tools.py": TOOLS, "compozy.yaml": project, "workflows/order.yaml": workflow})

    loaded = files.load()
    assert ("shop", ()) == (loaded.name, loaded.warnings)


@pytest.mark.parametrize("kind", tasks._OWN_KEYS)
def test_every_type_of_task_has_an_example_that_runs(kind: str) -> None:
    """Who wants to know a type can try it."""
    section = PAGE.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
    assert "```yaml run\n" in section


def test_every_field_is_on_the_page() -> None:
    """What a file may say is written down, by name."""
    fields = {key for keys in tasks._OWN_KEYS.values() for key in keys}
    fields |= {"with", "outputs", "sleep", "timeout", "retries", "config", "env", "final"}
    fields |= {*definitions.LISTS, *definitions._shapes({}, {})["agent"], *loader._AUTHOR}
    fields |= {*memories._IDLE, *memories._FLUSHING, *memories._PERSISTENCE, *memories._PRIVACY}
    fields |= {*NATIVE, *NOT_AVAILABLE, *get_args(get_type_hints(MemoryCall)["operation"])}
    fields -= {"type"}
    written = {word for line in PAGE.splitlines() for word in line.replace(".", "`").split("`")}
    missing = {
        field for field in fields if not {field, f"{field}[]"} & written and f"{field}:" not in PAGE
    }
    assert set() == missing


def test_the_defaults_of_the_page_are_those_of_the_model() -> None:
    """The retry policy that is shown is the one that nobody has to write."""
    block = next(each.text for each in EXAMPLES if each.text.startswith("config:"))
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
