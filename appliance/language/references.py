"""What templates and conditions name: variables that exist where they stand, tasks that exist at all.

The variables themselves are made by the engine; a test holds the two lists together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from appliance.language import template
from appliance.language.expressions import TYPES, InvalidExpression, compile_expression
from appliance.language.model import Json
from appliance.language.placed import Placed, all_tasks
from appliance.language.sections import Section
from appliance.language.suggestions import hint
from appliance.language.template import TemplateError
from appliance.language.yaml import Path

EMPTY = frozenset({"agents", "tools", "trigger"})
"""Variables that are there and empty, for projects that name them."""
RUN = EMPTY | frozenset(
    [
        "env",
        "error",
        "input",
        "project",
        "status",
        "tasks",
        "workflow",
        "workflow_exec_id",
        "workflow_id",
    ]
)
"""Variables of a workflow's `outputs`."""
TASK = RUN | frozenset("children current parent progress task with".split())  # noqa: SIM905 - words
"""Variables of a task."""
ITEM = frozenset({"item", "_collection_item", "index", "_collection_index"})
"""Variables inside of a collection."""
OUTPUT = frozenset({"output"})
"""Variables that only a task's own `outputs` have on top."""
SIGNAL = frozenset({"signal"})
"""Variables that a wait has in its `outputs`, and the processor of a wait everywhere."""
WAIT = SIGNAL | {"processor"}
"""Variables that the `condition` of a wait has on top."""
FIELDS = {
    "project": frozenset("id name".split()),  # noqa: SIM905 - words
    "signal": frozenset("metadata name payload".split()),  # noqa: SIM905 - words
    "workflow": frozenset("id input output status".split()),  # noqa: SIM905 - words
    "tasks": frozenset("children error id input output status type with".split()),  # noqa: SIM905 - words
}
"""What a workflow and a task are made of."""


_TEMPLATES = ("with", "items", "wait_for", "signal", "key_template", "payload")
"""Fields of tasks, whatever the type, that are rendered before the task begins."""


class Reader:
    """Checks every text of a workflow that holds a template or a condition."""

    def __init__(self, scope: Sequence[Placed]) -> None:
        self._ids = frozenset(placed.task.id for placed in all_tasks(scope))
        self._prefixes = tuple(name.partition("{{")[0] for name in self._ids if "{{" in name)

    def check_workflow(self, section: Section) -> None:
        """Check the `outputs` of a workflow."""
        self.check_value(section, "outputs", RUN)

    def check_scope(self, scope: Iterable[Placed], variables: frozenset[str]) -> None:
        """Check tasks and those inside of them; *variables* are what they may name."""
        for placed in scope:
            self._check_task(placed, variables)
            inside = variables
            if placed.task.type == "wait":
                inside |= SIGNAL
            elif placed.task.type == "collection":
                inside |= ITEM | {placed.task.item_var, placed.task.index_var}
                self.check_value(placed.section, "filter", inside)
                for child in placed.members[:1]:
                    self.check_value(child.section, "id", inside)
            self.check_scope(placed.members, inside)

    def _check_task(self, placed: Placed, variables: frozenset[str]) -> None:
        section, waits = placed.section, placed.task.type == "wait"
        for key in (*_TEMPLATES, *(("timeout",) if waits else ())):
            self.check_value(section, key, variables)
        self.check_value(section, "outputs", variables | OUTPUT | (SIGNAL if waits else set()))
        if placed.task.condition is not None:
            self.check_condition(section, "condition", variables | (WAIT if waits else set()))

    def check_condition(self, section: Section, key: str, variables: frozenset[str]) -> None:
        """Check a field that holds a condition, or a template that makes one."""
        text = section.text(key)
        if "{{" in text:
            self.check_value(section, key, variables)
        else:
            self._check_expression(section, key, text, variables)

    def _check_expression(
        self, section: Section, key: str, text: str, variables: frozenset[str]
    ) -> None:
        try:
            expression = compile_expression(text)
        except InvalidExpression as error:
            section.error_at((key,), error.line, error.column, error.message)
            return
        if not text.strip():
            section.error(f"{key} must not be empty", key)
        for path, offset in expression.references:
            fault = "" if path in TYPES else self._fault(path, variables)
            if fault:
                section.error_at((key,), *_line_column(text, offset), fault)
        for name in expression.unknown_functions:
            place = _line_column(text, max(text.find(name), 0))
            section.error_at((key,), *place, f"there is no function {name!r} in conditions")

    def check_value(self, section: Section, key: str, variables: frozenset[str]) -> None:
        """Check every template in a field."""
        for path, text in _texts(section.raw(key), (key,)):
            if "{{" in text:
                self._check_text(section, path, text, variables)

    def _check_text(
        self, section: Section, path: Path, text: str, variables: frozenset[str]
    ) -> None:
        try:
            references = template.compile_text(text).references
        except TemplateError as error:
            section.error_at(path, error.line, error.column, error.message)
            return
        for reference in references:
            if fault := self._fault(reference, variables):
                offset = max(text.find("." + ".".join(reference)), 0)
                section.error_at(path, *_line_column(text, offset), fault)

    def _fault(self, path: tuple[str, ...], variables: frozenset[str]) -> str:
        root, *rest = path
        if root not in variables:
            if root == "output":
                return "'output' exists only in the task's own outputs; use tasks.<id>.output"
            if root in ITEM:
                return f"{root!r} exists only inside of a collection"
            if root in WAIT:
                return f"{root!r} exists only in a wait"
            return f"there is no variable {root!r}{hint(root, variables)}"
        if root == "tasks" and rest:
            if not self._has_task(rest[0]):
                return f"there is no task {rest[0]!r} in this workflow{hint(rest[0], self._ids)}"
            return _field_fault(f"tasks.{rest[0]}", rest[1:], FIELDS["tasks"])
        return _field_fault(root, rest, FIELDS.get(root, frozenset()))

    def _has_task(self, name: str) -> bool:
        return name in self._ids or name.startswith(self._prefixes)


def _field_fault(owner: str, rest: Sequence[str], fields: frozenset[str]) -> str:
    if not rest or not fields or rest[0] in fields:
        return ""
    return f"{owner} has no {rest[0]!r}{hint(rest[0], fields)}"


def _texts(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _line_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
