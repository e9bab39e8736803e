"""Sections of compozy.yaml that configure the program, made from the list of its settings."""

from __future__ import annotations

from typing import Any

from appliance.config import registry
from appliance.language.editor.fields import SCALAR, Schema, mapping, silent

_ANYTHING: Schema = {"description": "Known from Compozy; it has no effect.", "doNotSuggest": True}


def sections() -> dict[str, Schema]:
    """Return the top-level sections of settings by name."""
    root: dict[str, Any] = {}
    for path in sorted(registry.INERT):
        _put(root, path, _ANYTHING)
    for path, setting in registry.BY_NAME.items():
        field: Schema = {"description": setting.help, "type": [*SCALAR, "array"]}
        _put(root, path, {**field, "default": setting.default} if setting.default else field)
    return {name: root[name] for name in registry.SECTIONS if name in root}


def _put(root: dict[str, Any], path: str, field: Schema) -> None:
    *groups, name = path.split(".")
    fields = root
    for group in groups:
        inner = fields.setdefault(group, _group(group))
        fields = inner["properties"]
    fields.setdefault(name, field)


def _group(name: str) -> Schema:
    about = f"Settings of the program: {name.replace('_', ' ')}."
    return {**mapping(about, {}), "type": ["object", "null"]}


SILENT = silent("monitoring", "CWD")
