"""What a project offers to each of its workflows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from appliance.language.model import Json, Memory, Tool
from appliance.language.options import Options
from appliance.language.sections import Section
from appliance.language.selectors import Known
from appliance.language.shapes import without_effect
from appliance.tools.native import NATIVE

if TYPE_CHECKING:
    from appliance.tools.introspect import Signature

_ANY_NAME = "*"


class Declared(NamedTuple):
    """A tool that a file declares, and where."""

    tool: Tool
    section: Section


class Offer(NamedTuple):
    """Options, definitions and functions, by id and by name."""

    options: Options = Options()
    schemas: Mapping[str, Json] = {}
    tools: Mapping[str, Declared] = {}
    memories: Mapping[str, Memory] = {}
    known: Mapping[str, Collection[str]] = {}
    """Ids of what is defined, by kind."""
    functions: Mapping[str, Signature] | None = {}
    """By name; None where they cannot be known."""
    entrypoint: str = ""
    refusal: str = ""
    """Why no function can be called at all."""
    native_tools: bool = True
    """Whether the tools that are built in can be called."""

    def has_function(self, name: str) -> bool:
        """Whether there is, or may be, a function *name*."""
        return self.functions is None or not self.functions.keys().isdisjoint((name, _ANY_NAME))

    def tool_ids(self) -> frozenset[str]:
        """Return what the functions can be called as."""
        names = frozenset(self.functions or ())
        return names | {name.replace("_", "-") for name in names}

    def selectable(self) -> Known:
        """Return the ids that definitions may select; of tools only where all of them are known."""
        if self.functions is None or _ANY_NAME in self.functions:
            return {kind: ids for kind, ids in self.known.items() if kind != "tool"}
        return {**self.known, "tool": {*self.tools, *self.tool_ids(), *NATIVE}}

    def with_definitions(self, more: Known) -> Offer:
        """Return the offer with the ids of *more* definitions as known."""
        known = {kind: {*self.known.get(kind, ()), *ids} for kind, ids in more.items()}
        return self._replace(known={**self.known, **known})


def read_schemas(sections: Iterable[Section]) -> dict[str, Json]:
    """Read a list of JSON schemas, each with its `id`."""
    found: dict[str, Json] = {}
    for section in sections:
        name = section.needed_text("id")
        schema = section.own_schema("id", "resource")
        if name in found:
            section.error(f"the schema {name!r} is there twice", "id")
        elif schema is not None:
            found[name] = schema
    return found


def read_tools(sections: Iterable[Section], schemas: Mapping[str, Json]) -> dict[str, Declared]:
    """Read a list of tools."""
    found: dict[str, Declared] = {}
    for section in sections:
        tool = Tool(
            id=section.needed_text("id"),
            description=section.text("description"),
            timeout=section.seconds("timeout"),
            input=section.schema("input", schemas),
            output=section.schema("output", schemas),
            with_=section.values("with") or {},
            env=section.strings("env"),
            max_concurrent=section.whole("max_concurrent", 0, 0),
        )
        without_effect(section, ("config", "cwd"), " on a tool here")
        section.finish(("config", "cwd", "CWD", "file_path", "resource"))
        if tool.id in found:
            section.error(f"the tool {tool.id!r} is there twice", "id")
        found.setdefault(tool.id, Declared(tool, section))
    return found
