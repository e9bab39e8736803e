"""Editor and loader say the same: what one of them knows, the other does not refuse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from appliance.config import registry
from appliance.errors import InvalidProject
from appliance.language import later, yaml
from appliance.language.editor.files import NAMES
from appliance.language.sections import Section
from tests.language.conftest import Files
from tests.language.editor.specimens import specimens
from tests.language.editor.validation import Walk, complaints, validator
from tests.language.page import EXAMPLES as BLOCKS
from tests.language.page import Example

ROOT = Path(__file__).parents[3]
KINDS = [name for name in NAMES if name not in ("resource", "schedule", "trigger")]
"""Kinds of files; schedules and triggers are in workflows."""
UNKNOWN = ("unknown key", "cannot stand", "unsupported directive", "not available")
"""How the loader says that a key is not allowed."""

REFUSED_ON_TASKS = {"aggregate": {*later.TASK_KEYS, "sleep", "with"}}
"""Fields that the loader knows only to refuse them with a sentence of their own."""


class Asked(NamedTuple):
    """A mapping that the loader has read, and the fields that it knows there."""

    data: Any
    path: yaml.Path
    keys: set[str]


def write(files: Files, kind: str, data: Any) -> str:
    """Write *data* as a file of its kind, and return its name."""
    project = {"name": "shop", "autoload": {"enabled": True, "include": ["made.yaml"]}}
    if kind == "project":
        files.write({"compozy.yaml": json.dumps(data)})
        return "compozy.yaml"
    made = {"resource": kind, **data}
    files.write({"compozy.yaml": json.dumps(project), "made.yaml": json.dumps(made)})
    return "made.yaml"


def problems(files: Files) -> list[str]:
    """Return what the loader says about the directory."""
    try:
        files.load()
    except InvalidProject as refused:
        found: list[str] = refused.details["problems"]
        return found
    return []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Asked]]:
    """Which fields the loader looks for in the mappings of each file."""
    found: dict[str, list[Asked]] = {}
    finish = Section.finish

    def note(section: Section, known: Iterable[str], *explain: Any) -> None:
        known = set(known)
        keys = section._read | known
        if "on_success" in keys:
            keys -= REFUSED_ON_TASKS.get(section.text("type"), later.TASK_KEYS)
        there = found.setdefault(section.document.file, [])
        there.append(Asked(section.document.data, section.path, keys))
        finish(section, known, *explain)

    monkeypatch.setattr(Section, "finish", note)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_both_know_the_same_fields(files: Files, asked: dict[str, list[Asked]], kind: str) -> None:
    """Every mapping of a file that has every field: nothing is missing here, nor too much."""
    walk = Walk(kind)
    for specimen in specimens(kind):
        assert [] == complaints(kind, specimen)
        name = write(files, kind, specimen)
        asked.clear()
        refused = [each for each in problems(files) if any(words in each for words in UNKNOWN)]
        assert [] == refused
        for data, path, keys in asked.get(name, ()):
            assert (path, set()) == (path, keys - walk.keys(data, path))


def test_the_specimens_have_every_type_of_task() -> None:
    """Whatever is compared is really there."""
    found = {task["type"] for task in specimens("workflow")[0]["tasks"]}
    types = {"basic", "router", "parallel", "collection", "composite", "aggregate"}
    assert types | {"wait", "signal", "memory"} == found


def leaves(data: Any, path: yaml.Path = ()) -> Iterator[yaml.Path]:
    """Go over the fields of a file, those of inner mappings as well."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*path, key)
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))


def changed(data: Any, path: yaml.Path, value: Any) -> Any:
    """Return a copy of *data* with *value* at *path*."""
    copy = json.loads(json.dumps(data))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


def of_each_type(kind: str) -> dict[str, Any]:
    """Return a specimen of each type that files of a kind can have."""
    types = {specimen.get("type", ""): specimen for specimen in reversed(specimens(kind))}
    return types if kind == "task" else {"": specimens(kind)[0]}


@pytest.mark.parametrize(
    ("kind", "specimen"),
    [
        pytest.param(kind, specimen, id=f"{kind}-{name}")
        for kind in KINDS
        if kind not in ("project", "workflow")
        for name, specimen in of_each_type(kind).items()
    ],
)
def test_both_refuse_the_same_kinds_of_values(files: Files, kind: str, specimen: Any) -> None:
    """A list where a text must be, a mapping where a list must be: neither lets it pass alone."""
    files.write({"tools.py": "def a(**given): ...\n"})
    write(files, kind, specimen)
    before = {each.split(": ", 1)[1] for each in problems(files)}
    differ = []
    fields = [path for path in leaves(specimen) if path[1:] and path[-1] != "resource"]
    for path in fields:  # what `resource` says inside of a file, the loader does not ask
        for value in ([["zz"]], {"zz": {"zz": 1}}):
            other = changed(specimen, path, value)
            write(files, kind, other)
            said = {each.split(": ", 1)[1] for each in problems(files)} - before
            found = complaints(kind, other)
            if bool(said) != bool(found):
                differ.append((path, value, said, found))
    assert [] == differ


def test_the_configuration_of_the_program_is_in_compozy_yaml() -> None:
    """Every setting that a file may say, by each of its names, and nothing that is no setting."""
    walk = Walk("project")
    for name in (*registry.BY_NAME, *registry.INERT, *registry.PROJECT_KEYS):
        *groups, last = name.split(".")
        data: Any = {last: None}
        for group in reversed(groups):
            data = {group: data}
        assert last in walk.keys(data, tuple(groups)), name
    wrong = {"name": "shop", "server": {"prot": 1}}
    assert [["server"]] == [list(each) for each in places("project", wrong)]


def places(kind: str, data: Any) -> list[yaml.Path]:
    """Return where an editor complains."""
    return [tuple(each.instance_path) for each in validator(kind).iter_errors(data)]


def kind_of(text: str) -> str:
    """Return what a file of an example is."""
    return "project" if "name:" in {line[:5] for line in text.splitlines()} else "workflow"


FILES = [
    file
    for place in ("examples", "appliance/sample", "appliance/cli/scaffold", "tests/engine/project")
    for file in sorted((ROOT / place).rglob("*.yaml"))
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_example_passes(file: Path) -> None:
    """An editor has nothing against what newcomers copy."""
    data = yaml.load(file.read_text(), file.name).data

    assert [] == complaints(kind_of(file.read_text()), data)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_every_block_of_the_page_passes(block: Example) -> None:
    """What docs/workflows.md shows, an editor does not underline."""
    data = yaml.load(block.text, "page").data
    fragment = {"id": "a", "tasks": [{"id": "a", "tool": "a"}]} if "tasks" not in data else {}

    kind = kind_of(block.text)
    assert [] == complaints(kind, data if kind == "project" else {**fragment, **data})


BROKEN = sorted((ROOT / "tests/language/broken").glob("*.yaml"))
STRUCTURAL = {
    "bad_duration": ("tasks", 0, "sleep"),
    "collection_id": ("tasks", 0, "task", "id"),
    "memory_operation": ("tasks", 0, "operation"),
    "project_memory": ("memories", 0, "max_tokens"),
    "schema": ("config", "input", "properties", "n", "type"),
    "signal": ("tasks", 0, "signal"),
    "trigger": ("triggers", 0, "webhook", "verify"),
    "unknown_field": ("tasks", 0),
    "unknown_type": ("tasks", 0, "type"),
    "wait_timeout": ("tasks", 0),
}
"""Files that are wrong by themselves, and where; the others need the rest of the project."""


def test_what_is_wrong_by_itself_is_underlined() -> None:
    """An editor finds the same fault in the same place, and only one."""
    found = {}
    for file in BROKEN:
        text = file.read_text()
        if file.stem not in ("alias", "duplicate_key"):  # those are no YAML of ours at all
            found[file.stem] = places(kind_of(text), yaml.load(text, file.name).data)

    assert {name: [path] for name, path in STRUCTURAL.items()} == {
        name: where for name, where in found.items() if where
    }
