"""Files made up from a schema: every field that it knows is in one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from appliance.language.editor.fields import PLACE, Schema
from appliance.language.editor.files import document

_DATA = {
    "data": {"any": 1},
    "json_schema": {"type": "object"},
    "schema": {"id": "a", "resource": "schema", "type": "object"},
    "duration": "90s",
    "duration_or_template": "90s",
}
"""Definitions of values, not of mappings with fields of ours."""
_LEAF = {"id": "{{ .a }}", "type": "basic", "tool": "a"}
"""What stands for a task inside of a task, so that there is an end."""
_TEXTS = ("a", "{{ .a }}")


def specimens(name: str) -> list[Any]:
    """Return files of a kind. Each branch of the schema has one, and each has all fields."""
    return _Maker(document(name)["definitions"]).make({"$ref": f"{PLACE}{name}"}, ())


class _Maker:
    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def make(self, node: Schema, trail: tuple[str, ...]) -> list[Any]:
        """Return values for a schema: the *trail* names the definitions that lead to it."""
        if "$ref" in node:
            return self._named(node["$ref"].removeprefix(PLACE), trail)
        if "if" in node:  # one kind of value or another
            branches = [node[key] for key in ("then", "else")]
        elif "allOf" in node and node["allOf"][0].get("then", node["allOf"][0]).keys() == {"$ref"}:
            branches = [each.get("then", each) for each in node["allOf"]]
        elif "properties" in node or "additionalProperties" in node:
            return self._mappings(node, trail)
        elif node.get("type") == "array":
            items = self.make(node["items"], trail)
            return [[item] for item in items] if node.get("maxItems") == 1 else [items]
        else:
            return [_scalar(node)]
        return [value for each in branches for value in self.make(each, trail)]

    def _named(self, name: str, trail: tuple[str, ...]) -> list[Any]:
        if name in _DATA:
            return [_DATA[name]]
        if name in trail:
            return [_LEAF]
        return self.make(self._definitions[name], (*trail, name))

    def _mappings(self, node: Schema, trail: tuple[str, ...]) -> list[Any]:
        """Return a mapping with every field; a field of several kinds makes further mappings."""
        fields = dict(self._fields(node, trail))
        first = {key: values[0] for key, values in fields.items()}
        more = [{**first, key: each} for key, values in fields.items() for each in values[1:]]
        return [first, *more]

    def _fields(self, node: Schema, trail: tuple[str, ...]) -> Iterator[tuple[str, list[Any]]]:
        for key, inner in node.get("properties", {}).items():
            yield key, self.make(inner, trail)
        other = node.get("additionalProperties")
        for number, value in enumerate(self.make(other, trail) if isinstance(other, dict) else ()):
            yield f"key{number}", [value]


def _scalar(node: Schema) -> Any:
    for key in ("const", "default"):
        if key in node:
            return node[key]
    if "enum" in node:
        return node["enum"][0]
    kinds = node.get("type", "string")
    if "string" in kinds:
        return next(text for text in _TEXTS if re.search(node.get("pattern", ""), text))
    return {"boolean": True}.get(kinds, node.get("minimum", 1))
