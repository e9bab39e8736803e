"""The kinds of files that an editor can be told of, each with a schema that stands by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from appliance.language.editor.agent import AGENT
from appliance.language.editor.fields import (
    DURATION,
    DURATION_OR_TEMPLATE,
    KEYS,
    PLACE,
    Schema,
    choice,
    reference,
)
from appliance.language.editor.json_schema import JSON_SCHEMA, JSON_SCHEMA_OR_FLAG, SCHEMA
from appliance.language.editor.knowledge import BINDING, EMBEDDER, KNOWLEDGE_BASE, VECTOR_DB
from appliance.language.editor.mcp import MCP
from appliance.language.editor.memory import MEMORY
from appliance.language.editor.model import MODEL
from appliance.language.editor.options import RETRY
from appliance.language.editor.project import project
from appliance.language.editor.starts import SCHEDULE, TRIGGER, TRIGGERS
from appliance.language.editor.task import PROCESSOR, TASK, TYPES
from appliance.language.editor.tool import TOOL
from appliance.language.editor.workflow import WORKFLOW

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that editors know best; the language has nothing that needs a later one."""

_DATA: Schema = {
    "propertyNames": KEYS,
    "additionalProperties": reference("data"),
    "items": reference("data"),
}
_RESOURCES: dict[str, Schema] = {
    "workflow": WORKFLOW,
    "task": TASK,
    "tool": TOOL,
    "schema": SCHEMA,
    "memory": MEMORY,
    "agent": AGENT,
    "model": MODEL,
    "mcp": MCP,
    "embedder": EMBEDDER,
    "vector_db": VECTOR_DB,
    "knowledge_base": KNOWLEDGE_BASE,
}
"""What `resource` can say."""
_PARTS: dict[str, Schema] = {
    **_RESOURCES,
    "schedule": SCHEDULE,
    "trigger": TRIGGER,
    "binding": BINDING,
    "data": _DATA,
    "duration": DURATION,
    "duration_or_template": DURATION_OR_TEMPLATE,
    "json_schema": JSON_SCHEMA,
    "json_schema_or_flag": JSON_SCHEMA_OR_FLAG,
    "processor": PROCESSOR,
    "retry_policy": RETRY,
    **{f"task_{kind}": fields for kind, fields in TYPES.items()},
    **{f"trigger_{kind}": fields for kind, fields in TRIGGERS.items()},
}


def _is(kind: str) -> Schema:
    said = {"properties": {"resource": {"const": kind}}, "required": ["resource"]}
    return {"if": said, "then": reference(kind)}


_RESOURCE: Schema = {
    "description": "A file that autoload finds; `resource` says what it defines.",
    "type": "object",
    "properties": {"resource": choice("What the file defines.", *_RESOURCES)},
    "required": ["resource"],
    "allOf": [_is(kind) for kind in _RESOURCES],
}

NAMES = ("project", "resource", *_RESOURCES, "schedule", "trigger")
"""What a schema can be asked for."""


def document(name: str) -> Schema:
    """Return the JSON Schema of one of `NAMES`, with all that it refers to."""
    parts = {**_PARTS, "project": project(), "resource": _RESOURCE}
    return {
        "$schema": DRAFT,
        "$id": file_name(name),
        "title": name,
        "allOf": [reference(name)],
        "definitions": dict(sorted(_needed(name, parts).items())),
    }


def file_name(name: str) -> str:
    """Return what the file of a schema is called."""
    return f"{name}.schema.json"


def written(name: str) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(document(name), indent=2, ensure_ascii=False) + "\n"


def _needed(name: str, parts: Mapping[str, Schema]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    todo = [name]
    while todo:
        part = todo.pop()
        if part not in found:
            found[part] = parts[part]
            todo += _references(parts[part])
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            yield target.removeprefix(PLACE)
        for item in value.values():
            yield from _references(item)
