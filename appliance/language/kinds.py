"""Kinds of definitions: their names, in the API and in files, and how one of them is called."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.language.model import Json

KINDS = {
    "schemas": "schema",
    "models": "model",
    "memories": "memory",
    "mcps": "mcp",
    "tools": "tool",
    "agents": "agent",
    "tasks": "task",
    "workflows": "workflow",
}
"""Nouns of the API and `resource` in a file; what others name comes before those who name it."""

NOUNS = {kind: noun for noun, kind in KINDS.items()}


def identifier(data: Mapping[str, Json]) -> str:
    """Return the id of a definition; a model without one is called by provider and model."""
    if data.get("id") is None and "provider" in data:
        return f"{data['provider']}:{data.get('model')}"
    return str(data.get("id") or "")
