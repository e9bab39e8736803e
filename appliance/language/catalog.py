"""Everything that a project defines, read into the model: each kind after those that it may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from appliance.language import later
from appliance.language.definitions import KINDS, read_definitions
from appliance.language.memories import read_memories
from appliance.language.model import Declaration, Workflow
from appliance.language.offers import Offer, read_schemas, read_tools
from appliance.language.sections import Section
from appliance.language.sources import Entry, Sources
from appliance.language.starts import check_names
from appliance.language.workflows import read_task, read_workflow


class Catalog:
    """The definitions of a project. `known` are their ids by kind."""

    def __init__(
        self, sources: Sources, entries: Iterable[Entry], *, builder: bool = False
    ) -> None:
        self._sources = sources
        self._entries = list(_settled(list(entries), builder=builder))
        self.known = {
            kind: frozenset(entry.id for entry in self._of(kind)) for kind in (*KINDS, "memory")
        }

    def read(self, offer: Offer) -> dict[str, Any]:
        """Return the fields of a project that these definitions make."""
        schemas = read_schemas(self._sections("schema"))
        tools = read_tools(self._sections("tool"), schemas)
        memories = read_memories(self._sections("memory"))
        kept = [(entry.kind, entry.section) for entry in self._entries if entry.kind in KINDS]
        offer = offer._replace(schemas=schemas, tools=tools, memories=memories, known=self.known)
        definitions = read_definitions(kept, offer.selectable(), schemas)
        fields = {
            "workflows": self._workflows(offer),
            "tasks": self._tasks(offer),
            "memories": memories,
            "tools": {name: declared.tool for name, declared in tools.items()},
            "schemas": schemas,
            "definitions": definitions,
            "declared": self._declared(),
            "vector_dbs": tuple(definitions.get("vector_db", {}).values()),
        }
        self._settle()
        return fields

    def _of(self, kind: str) -> Iterator[Entry]:
        return (entry for entry in self._entries if entry.kind == kind)

    def _sections(self, kind: str) -> list[Section]:
        return [entry.section for entry in self._of(kind)]

    def _workflows(self, offer: Offer) -> dict[str, Workflow]:
        found: dict[str, Workflow] = {}
        for entry in self._of("workflow"):
            workflow = read_workflow(entry.section, offer)
            if workflow is not None and workflow.id in found:
                message = f"another workflow has the id {workflow.id!r} too"
                entry.section.error(message, "id")
            elif workflow is not None and workflow.triggers:
                check_names(entry.section, workflow, found.values())
            if workflow is not None and not self._is_left_out(entry):
                found.setdefault(workflow.id, workflow)
        return found

    def _tasks(self, offer: Offer) -> dict[str, Workflow]:
        found: dict[str, Workflow] = {}
        for entry in self._of("task"):
            task = read_task(entry.section, offer)
            if task is not None and task.id in found:
                entry.section.error(f"another task has the id {task.id!r} too", "id")
            if task is not None and not self._is_left_out(entry):
                found.setdefault(task.id, task)
        return found

    def _is_left_out(self, entry: Entry) -> bool:
        return bool(entry.problems.errors) and self._sources.forgives(entry)

    def _declared(self) -> dict[str, dict[str, Declaration]]:
        found: dict[str, dict[str, Declaration]] = {}
        for entry in self._entries:
            if not self._is_left_out(entry):
                found.setdefault(entry.kind, {}).setdefault(entry.id, entry.declaration)
        return found

    def _settle(self) -> None:
        for entry in self._entries:
            if entry.kind in KINDS - {"vector_db"} and entry.is_file:
                message = later.not_available(f"a file with resource {entry.kind}")
                entry.section.warn(message, "resource")
            self._sources.settle(entry)


def _settled(entries: Sequence[Entry], *, builder: bool) -> Iterator[Entry]:
    """Go over definitions, without those that lose where a file and the API have the same.

    With *builder* the one from the API wins. Otherwise it is an error.
    """
    written = {(entry.kind, entry.id): entry.file for entry in entries if not entry.stored}
    stored = {(entry.kind, entry.id) for entry in entries if entry.stored}
    for entry in entries:
        key = entry.kind, entry.id
        if entry.stored and key in written and not builder:
            message = f"{written[key]} defines the {entry.kind} {entry.id!r} already"
            hint = "config.source_of_truth: builder would let this one win"
            entry.section.error(f"{message}; {hint}", "id")
        elif entry.stored:
            yield entry._replace(hides=written.get(key, ""))
        elif not builder or key not in stored:
            yield entry
