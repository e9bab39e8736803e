"""Fields of a file as JSON Schema: the kinds of values that `language.sections` reads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from appliance.language.durations import UNITS

Schema = dict[str, Any]
Fields = Mapping[str, Schema]
NOTHING: Fields = MappingProxyType({})

PLACE = "#/definitions/"
"""Where a file of schemas has its definitions."""
SCALAR = ["string", "number", "boolean"]
"""What counts as text: a number is read as it is written."""
KEYS = {"pattern": "^[^$]"}
"""Keys of data: one that begins with a dollar sign stands in JSON schemas only."""


def text(about: str, **more: Any) -> Schema:
    """A text."""
    return {"description": about, "type": SCALAR, **more}


def needed_text(about: str, **more: Any) -> Schema:
    """A text that is not empty."""
    return text(about, minLength=1, **more)


def template(about: str, **more: Any) -> Schema:
    """A text that may hold templates."""
    return text(f"{about} May hold templates.", **more)


def choice(about: str, *options: str, default: str | None = None) -> Schema:
    """One of *options*."""
    return {"description": about, "enum": [*options], **_default(default)}


def flag(about: str, *, default: bool | None = None) -> Schema:
    """True or false."""
    return {"description": about, "type": "boolean", **_default(default)}


def whole(about: str, least: int, most: int | None = None, default: int | None = None) -> Schema:
    """A whole number."""
    return {"description": about, "type": "integer", **_range(least, most), **_default(default)}


def number(
    about: str, least: float, most: float | None = None, default: float | None = None
) -> Schema:
    """A number."""
    return {"description": about, "type": "number", **_range(least, most), **_default(default)}


def duration(about: str, default: str | None = None, kind: str = "duration") -> Schema:
    """A duration with its unit, or 0."""
    return {**refer(kind, f"{about} Such as 90s, 1h30m, 5 minutes or 1d."), **_default(default)}


def texts(about: str, **items: Any) -> Schema:
    """A list of texts."""
    return {"description": about, "type": "array", "items": {"type": SCALAR, **items}}


def strings(about: str) -> Schema:
    """A mapping of texts."""
    values: Schema = {"type": SCALAR}
    return {
        "description": about,
        "type": "object",
        "propertyNames": KEYS,
        "additionalProperties": values,
    }


def values(about: str, **more: Any) -> Schema:
    """A mapping of any data."""
    return {
        "description": about,
        "type": "object",
        "propertyNames": KEYS,
        "additionalProperties": reference("data"),
        **more,
    }


def data(about: str) -> Schema:
    """Any data."""
    return refer("data", about)


def refer(name: str, about: str) -> Schema:
    """What the definition *name* says. A `$ref` stands alone: beside it nothing else counts."""
    return {"description": about, "allOf": [reference(name)]}


def schema(about: str) -> Schema:
    """A JSON schema, or the id of one."""
    return either(f"{about} A JSON schema, or the id of one.", reference("json_schema"))


def reference(name: str) -> Schema:
    """The definition *name*, as it is."""
    return {"$ref": f"{PLACE}{name}"}


def each(about: str, items: Schema, **more: Any) -> Schema:
    """A list."""
    return {"description": about, "type": "array", "items": items, **more}


def mapping(about: str, fields: Fields, *needed: str, **more: Any) -> Schema:
    """A mapping with these *fields* and no others, of which some are *needed*."""
    required = {"required": [*needed]} if needed else {}
    return {
        "description": about,
        "type": "object",
        "properties": dict(fields),
        **required,
        "additionalProperties": False,
        **more,
    }


def either(about: str, mapped: Schema, other: Schema | None = None) -> Schema:
    """A mapping, or something else in its place: by default a text, the id of what is meant.

    Told apart by what is there, so that an editor complains about the one that was meant.
    """
    return {
        "description": about,
        "if": {"type": "object"},
        "then": mapped,
        "else": other or {"type": SCALAR},
    }


def selector(about: str, kind: str, more: Fields = NOTHING) -> Schema:
    """An id, as text or as `{id: ...}`."""
    fields = {"id": needed_text(f"The id of the {kind}."), **more}
    return either(about, mapping(about, fields, "id"))


def selected(about: str, kind: str, more: Fields = NOTHING) -> Schema:
    """An id of something else, where `resource` may stand beside it."""
    return selector(about, kind, {"resource": data("What is selected."), **more})


def silent(*names: str) -> dict[str, Schema]:
    """Fields that existing files have and that say nothing here; no editor offers them."""
    return {
        name: {"description": "Accepted, without effect.", "doNotSuggest": True} for name in names
    }


def idle(field: Schema) -> Schema:
    """A field that is checked and changes nothing, about which the loader warns."""
    return {**field, "deprecationMessage": "It has no effect."}


def resource(kind: str, *aliases: str) -> dict[str, Schema]:
    """The field `resource`, which autoload needs."""
    about = f"What the file defines: {kind}. Needed where autoload finds the file."
    return {"resource": choice(about, kind, *aliases)}


def _default(value: Any) -> Schema:
    return {} if value is None else {"default": value}


def _range(least: float, most: float | None) -> Schema:
    return {"minimum": least} if most is None else {"minimum": least, "maximum": most}


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


_NAMES = "|".join(_any_case(unit) + "[sS]?" for unit in sorted(UNITS, key=len, reverse=True))
_AMOUNT = r"(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})"
_PART = f"{_AMOUNT} {{0,3}}(?:{_NAMES})"
_PATTERN = rf"^\s*(?:0|{_PART}(?:(?: [aA][nN][dD] |[ ,]*){_PART})*[ ,]*)\s*$"
"""What `durations.parse_duration` reads. Expressions of JSON Schema know no flag for any case."""
DURATION: Schema = {
    "type": ["string", "integer"],
    "pattern": _PATTERN,
    "patternErrorMessage": "Write a duration such as 90s, 1h30m, 5 minutes or 1d.",
    "minimum": 0,
    "maximum": 0,
}
DURATION_OR_TEMPLATE: Schema = {**DURATION, "pattern": _PATTERN + r"|\{\{"}
