"""Who names whom: the definitions that another one refers to by id.

Read from what was written, because a loaded workflow holds the schemas and tools themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.language.model import Json

Name = tuple[str, str]
"""Kind and id of a definition."""

_REFERENCES = {
    "agent": "agent",
    "agents": "agent",
    "input": "schema",
    "mcps": "mcp",
    "memory": "memory",
    "memory_ref": "memory",
    "model": "model",
    "output": "schema",
    "schema": "schema",
    "tool": "tool",
    "tools": "tool",
}
"""Field -> what it names. `agent: writer`, `agent: {id: writer}` and `agents: [writer]` all count."""
_CALLED = {"workflow_id": "workflow", "task_id": "task", "agent_id": "agent"}
"""Arguments of the built-in tools `cp__call_...` that name something."""
_VALUES = frozenset("env input model model_config output outputs payload schema with".split())  # noqa: SIM905 - words
"""Fields whose mappings are data, a JSON schema or a model: no reference is in there."""
_NAMING = frozenset({"agent", "task", "tool", "workflow"})
"""Kinds of definitions that name others."""


def mentions(kind: str, data: Json) -> set[Name]:
    """Return what a definition names, without what it defines itself."""
    return set(_named(data)) - set(_local(data)) if kind in _NAMING else set()


def _named(data: Json) -> Iterator[Name]:
    if isinstance(data, list):
        for item in data:
            yield from _named(item)
    elif isinstance(data, dict):
        for key, value in data.items():
            kind = _REFERENCES.get(key)
            if kind:
                yield from ((kind, name) for name in _ids(value, loose=kind == "memory"))
            if key not in _VALUES:
                yield from _named(value)
        if str(data.get("tool", "")).startswith("cp__call_"):
            yield from _called(data.get("with"))


def _ids(value: Json, *, loose: bool) -> Iterator[str]:
    """Return the ids in a reference; *loose* ones may say more beside the id, how it is used."""
    for item in value if isinstance(value, list) else [value]:
        whole = isinstance(item, dict) and (loose or item.keys() == {"id"})
        name = item.get("id") if whole else item
        if isinstance(name, str):
            yield name


def _called(arguments: Json) -> Iterator[Name]:
    if isinstance(arguments, list):
        for item in arguments:
            yield from _called(item)
    elif isinstance(arguments, dict):
        for key, value in arguments.items():
            if key in _CALLED and isinstance(value, str):
                yield _CALLED[key], value
            elif key in {"agents", "tasks", "workflows"}:
                yield from _called(value)


def _local(data: Json) -> Iterator[Name]:
    """Definitions that a workflow or an agent brings along; they hide those of the project."""
    for field, kind in {**_REFERENCES, "schemas": "schema"}.items():
        found = data.get(field) if isinstance(data, dict) else None
        for item in found if isinstance(found, list) else ():
            if isinstance(item, dict) and item.keys() > {"id"} and kind != "memory":
                yield kind, str(item["id"])
