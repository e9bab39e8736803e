"""What docs/workflows.md shows can be copied, and is all there is."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import pytest

from appliance.language import definitions, tasks
from appliance.language.durations import parse_duration
from appliance.language.expressions import MAX_LENGTH, MAX_STEPS
from appliance.language.model import MemoryCall, Project, RetryPolicy
from appliance.language.sections import Section
from appliance.language.yaml import load
from appliance.tools.native import NATIVE, NOT_AVAILABLE

from .conftest import Files
from .page import EXAMPLES, PAGE, PROJECT, TOOLS, Example

SMALL = "id: other\ntasks: [{id: a, tool: note, with: {text: x}}]"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_example_of_the_page_loads(files: Files, example: Example) -> None:
    """Workflows, options and projects are free of mistakes, and of what has no effect."""
    loaded = load_example(files, example)
    assert ("shop", ()) == (loaded.name, loaded.warnings)


def load_example(files: Files, example: Example) -> Project:
    """Load an example in the project of the page."""
    project, workflow = PROJECT, example.text
    if example.text.startswith("name:"):
        project, workflow = example.text, SMALL
    elif example.text.startswith("config:"):
        workflow = example.text + SMALL
    files.write({"tools.py": TOOLS, "compozy.yaml": project, "workflows/order.yaml": workflow})
    return files.load()


@pytest.mark.parametrize("kind", tasks._OWN_KEYS)
def test_every_type_of_task_has_an_example_that_runs(kind: str) -> None:
    """Who wants to know a type can try it."""
    section = PAGE.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
    assert "```yaml run\n" in section


def test_every_field_is_on_the_page(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for when the examples are read is written down, by name."""
    asked: set[str] = set()
    finish = Section.finish

    def note(section: Section, *arguments: Any) -> None:
        if not definitions.LISTS.keys() & {*section.path[:1]}:
            asked.update(section._read)
        finish(section, *arguments)

    monkeypatch.setattr(Section, "finish", note)
    for example in EXAMPLES:
        load_example(files, example)
    asked |= {*NATIVE, *NOT_AVAILABLE, *get_args(get_type_hints(MemoryCall)["operation"])}
    written = set(re.findall(r"[\w]+", " ".join(re.findall(r"`[^`\n]+`", PAGE))))
    written |= {f"{name}_config" for name in ("flush", "health", "stats", "clear")}
    assert {"wait_for", "jitter", "dedupe", "redact_patterns", "on_timeout"} <= asked
    assert set() == asked - written


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
