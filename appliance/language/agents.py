"""Agents and the MCP servers that they use, as files declare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.language.knowledge import binding
from appliance.language.model import Json
from appliance.language.models import MODEL
from appliance.language.sections import Section
from appliance.language.selectors import Known, schema, selectors
from appliance.language.shapes import Field, Shape, choice, each, mapping, needed, whole

_ATTACHMENTS = each(
    {
        "type": needed(choice("image", "audio", "video", "pdf", "url", "file")),
        "url": Section.text,
        "path": Section.text,
        "urls": Section.texts,
        "paths": Section.texts,
        "name": Section.text,
        "mime": Section.text,
        "meta": Section.values,
        "max_pages": whole(1),
    }
)
MCP: Shape = {
    "id": Section.needed_text,
    "url": Section.text,
    "command": Section.text,
    "args": Section.texts,
    "env": Section.strings,
    "headers": Section.strings,
    "proto": Section.text,
    "transport": choice("stdio", "sse", "streamable-http"),
    "start_timeout": Section.seconds,
    "max_sessions": whole(0),
}


def agent(known: Known, schemas: Mapping[str, Json]) -> Shape:
    """Return the fields of an agent."""
    action: Shape = {
        "id": Section.needed_text,
        "prompt": Section.needed_text,
        "input": schema(schemas),
        "output": schema(schemas),
        "with": Section.values,
        "attachments": _ATTACHMENTS,
    }
    return {
        "id": Section.needed_text,
        "instructions": Section.needed_text,
        "model": _either(Section.text, {**MODEL, "provider": Section.text, "model": Section.text}),
        "actions": each(action),
        "tools": selectors("tool", known),
        "mcps": selectors("mcp", known),
        "max_iterations": whole(1),
        "memory": selectors("memory", known, "mode", "key"),
        "with": Section.values,
        "env": Section.strings,
        "knowledge": binding(known),
        "attachments": _ATTACHMENTS,
    }


def _either(field: Field, shape: Shape) -> Field:
    """A text, or a mapping in its place."""

    def read(section: Section, key: str) -> Json:
        other = isinstance(section.raw(key), dict)
        return mapping(shape)(section, key) if other else field(section, key)

    return read


def check_mcp(section: Section, read: dict[str, Any]) -> None:
    """Check what one field of an MCP server alone does not say."""
    if not read.keys() & {"url", "command"}:
        section.error("an MCP server needs 'url' or 'command'")
    for name, value in read.get("headers", {}).items():
        if {"\r", "\n"} & {*name, *value}:
            section.error("a header cannot hold a line break", "headers", name)
