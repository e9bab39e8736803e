"""What docs/workflows.md shows can be copied, and is all there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from appliance.config import registry
from appliance.language import definitions, tasks
from appliance.language.durations import parse_duration
from appliance.language.editor.files import NAMES, document
from appliance.language.expressions import ASKING, GIVING, MAX_LENGTH, MAX_STEPS
from appliance.language.model import MemoryCall, Project, RetryPolicy
from appliance.language.sections import Section
from appliance.language.yaml import load
from appliance.tools.native import NATIVE, NOT_AVAILABLE

from .conftest import Files
from .page import EXAMPLES, PAGE, PROJECT, TOOLS, Example

EVERYWHERE = ("Files that are found", "What existing Compozy projects should know")
_TASK = ("Tasks", "Options")
_KEPT = ("Definitions that are kept",)
PLACES = {
    "project": ("The project", "Options"),
    "workflow": ("A workflow", "Options"),
    **{f"task_{kind}": (*_TASK, kind) for kind in tasks._OWN_KEYS},
    "task_collection": (*_TASK, "collection", "parallel"),
    "retry_policy": ("Options",),
    "tool": ("Tools",),
    "memory": ("Memories",),
    "schedule": ("Schedule",),
    **dict.fromkeys(("trigger", "trigger_signal", "trigger_webhook"), ("Triggers",)),
    **dict.fromkeys(("binding", *definitions.KINDS), _KEPT),
}
"""Where the page tells of the fields of each part of an editor's schema."""
VALUES = {
    "data",
    "duration",
    "duration_or_template",
    "json_schema",
    "json_schema_or_flag",
    "schema",
}
"""Parts that are values, not mappings with fields of ours."""
FOLLOW = {"resource", "task", "processor"}
"""Parts that only choose among others."""
_ALL = {name: part for kind in NAMES for name, part in document(kind)["definitions"].items()}
_PARTS = {name: _ALL[name] for name in sorted(_ALL.keys() - VALUES - FOLLOW)}

SMALL = "id: other\ntasks: [{id: a, tool: note, with: {text: x}}]"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_example_of_the_page_loads(files: Files, example: Example) -> None:
    """They are free of mistakes, and of what has no effect but for what is kept and not run."""
    loaded = load_example(files, example)
    kept = {kind for kind in definitions.LISTS if f"\n{kind}:" in example.text} - {"vector_dbs"}
    assert ("shop", kept) == (loaded.name, {each.split()[1] for each in loaded.warnings})


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


@pytest.mark.parametrize("part", _PARTS)
def test_every_field_is_in_its_place(part: str) -> None:
    """Whatever may stand in a mapping is told where the page tells of such mappings."""
    told = {word for title in (*EVERYWHERE, *PLACES[part]) for word in _words(title)}
    assert set() == {*_fields(_PARTS[part])} - told


@pytest.mark.parametrize("part", sorted(_PARTS.keys() - definitions.KINDS - {"binding"}))
def test_every_field_has_an_example(part: str) -> None:
    """Whatever has an effect stands in one of the blocks, all of which load or run."""
    shown = {key for each in EXAMPLES for key in _keys(load(each.text, "page").data)}
    assert set() == {*_fields(_PARTS[part], only_with_effect=True)} - shown


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
    assert (1_000_000, 40, 6) == (MAX_STEPS, GIVING, ASKING)
    assert "at most a million steps" in PAGE


def _words(title: str) -> set[str]:
    """Return the names that a section writes down."""
    (start,) = re.finditer(rf"^##+ {re.escape(title)}\n", PAGE, re.MULTILINE)
    section = re.split(r"^##", PAGE[start.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", section))))


def _keys(value: Any) -> Iterator[str]:
    """Go over the keys of all mappings in a value."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _keys(inner)


def _fields(node: Any, path: str = "", *, only_with_effect: bool = False) -> Iterator[str]:
    """Go over the fields in a schema, but for the settings of the program."""
    if isinstance(node, list):
        for item in node:
            yield from _fields(item, path, only_with_effect=only_with_effect)
    elif isinstance(node, dict):
        fields = node.get("properties", {})
        for key, value in node.items():
            if key != "properties":
                yield from _fields(value, path, only_with_effect=only_with_effect)
        for name, inner in fields.items():
            idle = {"deprecationMessage", "doNotSuggest"} & inner.keys()
            if not (only_with_effect and idle) and not _is_setting(f"{path}{name}"):
                yield name
                yield from _fields(inner, f"{path}{name}.", only_with_effect=only_with_effect)


def _is_setting(path: str) -> bool:
    names = {*registry.BY_NAME, *registry.INERT}
    return path in names or any(name.startswith(f"{path}.") for name in names)
