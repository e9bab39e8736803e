"""A schema for an editor, asked as an editor would ask it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs

from appliance.language.editor.fields import PLACE, Schema
from appliance.language.editor.files import document
from appliance.language.yaml import Path


@cache
def validator(name: str) -> jsonschema_rs.Draft7Validator:
    """Return what checks files of the kind *name*."""
    return jsonschema_rs.Draft7Validator(document(name))


def complaints(name: str, data: Any) -> list[str]:
    """Return what an editor says about a file, each with its place."""
    found = validator(name).iter_errors(data)
    return [f"{list(each.instance_path)}: {each.message[:200]}" for each in found]


class Walk:
    """Goes through the schema of one kind of file, as far as it concerns a certain file."""

    def __init__(self, name: str) -> None:
        self._root = document(name)

    def keys(self, data: Any, path: Path) -> set[str]:
        """Return the fields that may stand in the mapping of *data* at *path*."""
        found: set[str] = set()
        for node in self.nodes(data, path):
            found |= node.get("properties", {}).keys()
        return found

    def nodes(self, data: Any, path: Path) -> list[Schema]:
        """Return the schemas that concern the value of *data* at *path*."""
        nodes = list(self._applied(self._root, data))
        for step in path:
            data = data[step]
            inner = [child for node in nodes for child in _children(node, step)]
            nodes = [each for child in inner for each in self._applied(child, data)]
        return nodes

    def _applied(self, node: Any, data: Any) -> Iterator[Schema]:
        """Go over a schema and those that it applies in the same place."""
        if not isinstance(node, dict):
            return
        yield node
        for inner in node.get("allOf", ()):
            yield from self._applied(inner, data)
        if "$ref" in node:
            yield from self._applied(self._named(node["$ref"]), data)
        if "if" in node:
            chosen = "then" if jsonschema_rs.is_valid(node["if"], data) else "else"
            yield from self._applied(node.get(chosen), data)

    def _named(self, reference: str) -> Schema:
        found: Schema = self._root["definitions"][reference.removeprefix(PLACE)]
        return found


def _children(node: Schema, step: str | int) -> Iterator[Any]:
    if isinstance(step, int):
        yield node.get("items")
    elif step in node.get("properties", {}):
        yield node["properties"][step]
    else:
        yield node.get("additionalProperties")
