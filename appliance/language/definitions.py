"""Definitions that only agents, models and knowledge use: typed, checked and kept as written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.language.agents import MCP, agent, check_mcp
from appliance.language.knowledge import (
    EMBEDDER,
    VECTOR_DB,
    binding,
    check_dimensions,
    check_embedder,
    check_vector_db,
    knowledge_base,
)
from appliance.language.model import Json
from appliance.language.models import MODEL, check_default
from appliance.language.sections import Section
from appliance.language.selectors import Known
from appliance.language.shapes import Shape, read_shape

LISTS = {
    "agents": "agent",
    "embedders": "embedder",
    "knowledge_bases": "knowledge_base",
    "mcps": "mcp",
    "models": "model",
    "vector_dbs": "vector_db",
}
"""Fields of a project that hold definitions, and the kind of them."""
KINDS = frozenset(LISTS.values())

_SILENT = ("author", "CWD", "cwd", "file_path", "resource")
_CHECKS = {"mcp": check_mcp, "embedder": check_embedder, "vector_db": check_vector_db}


def read_definitions(
    entries: Sequence[tuple[str, Section]], known: Known, schemas: Mapping[str, Json]
) -> dict[str, dict[str, Json]]:
    """Check definitions, pairs of kind and place, and return them as written by kind and id.

    *known* are the ids that they may select, their own among them.
    """
    shapes = _shapes(known, schemas)
    found: dict[str, dict[str, Json]] = {}
    for kind, section in entries:
        read = read_shape(section, shapes[kind], *_SILENT)
        if kind in _CHECKS:
            _CHECKS[kind](section, read)
        name, there = definition_id(kind, section), found.setdefault(kind, {})
        if name in there:
            section.error(f"the {kind} {name!r} is there twice", "id" if "id" in read else "model")
        there.setdefault(name, section.data)
    check_default(section for kind, section in entries if kind == "model")
    check_dimensions(entries, found)
    return found


def definition_id(kind: str, section: Section) -> str:
    """Return the id that a definition goes by; a model needs none of its own."""
    name, data = section.raw("id"), section.data
    if name is None and kind == "model":
        return f"{data.get('provider')}:{data.get('model')}"
    return str(name or "")


def check_binding(section: Section, known: Known) -> None:
    """Check `knowledge`, a list of at most one binding to a knowledge base."""
    binding(known)(section, "knowledge")


def _shapes(known: Known, schemas: Mapping[str, Json]) -> dict[str, Shape]:
    return {
        "agent": agent(known, schemas),
        "embedder": EMBEDDER,
        "knowledge_base": knowledge_base(known),
        "mcp": MCP,
        "model": MODEL,
        "vector_db": VECTOR_DB,
    }
