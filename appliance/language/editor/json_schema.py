"""JSON schemas as a project holds them: drafts 4, 6 and 7."""

from __future__ import annotations

from appliance.language.editor.fields import Schema, mapping, needed_text, reference, resource

_TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"]
_LENGTH: Schema = {"type": "integer", "minimum": 0}
_INNER = reference("json_schema_or_flag")
_NAMED: Schema = {"type": "object", "additionalProperties": _INNER}
_LIST: Schema = {"type": "array", "minItems": 1, "items": _INNER}


def _keyword(about: str, shape: Schema) -> Schema:
    return {"description": about, **shape}


KEYWORDS: dict[str, Schema] = {
    "type": {
        "description": "What the value is.",
        "if": {"type": "array"},
        "then": {"type": "array", "minItems": 1, "items": {"enum": _TYPES}},
        "else": {"enum": _TYPES},
    },
    "title": _keyword("A name for people.", {"type": "string"}),
    "description": _keyword("What it means, for people.", {"type": "string"}),
    "default": _keyword("Filled in where nothing is given.", {}),
    "examples": _keyword("Values that fit.", {"type": "array"}),
    "enum": _keyword("The values that fit.", {"type": "array"}),
    "const": _keyword("The one value that fits.", {}),
    "properties": _keyword("Schemas of an object's fields.", _NAMED),
    "patternProperties": _keyword("Schemas of fields by a regular expression.", _NAMED),
    "additionalProperties": _keyword("The schema of other fields; false forbids them.", _INNER),
    "propertyNames": _keyword("What the names of fields must be.", _INNER),
    "required": _keyword("Fields that must be there.", {"type": ["array", "boolean"]}),
    "minProperties": _keyword("The fewest fields.", _LENGTH),
    "maxProperties": _keyword("The most fields.", _LENGTH),
    "items": {
        "description": "The schema of a list's items, or one for each place.",
        "if": {"type": "array"},
        "then": {"type": "array", "items": _INNER},
        "else": _INNER,
    },
    "additionalItems": _keyword("The schema of further items.", _INNER),
    "contains": _keyword("What at least one item must be.", _INNER),
    "minItems": _keyword("The fewest items.", _LENGTH),
    "maxItems": _keyword("The most items.", _LENGTH),
    "uniqueItems": _keyword("No item is there twice.", {"type": "boolean"}),
    "minLength": _keyword("The shortest text.", _LENGTH),
    "maxLength": _keyword("The longest text.", _LENGTH),
    "pattern": _keyword("A regular expression of the text.", {"type": "string"}),
    "format": _keyword("What a text is, such as email or date-time.", {"type": "string"}),
    "minimum": _keyword("The least number.", {"type": "number"}),
    "maximum": _keyword("The largest number.", {"type": "number"}),
    "exclusiveMinimum": _keyword("Larger than this.", {"type": ["number", "boolean"]}),
    "exclusiveMaximum": _keyword("Less than this.", {"type": ["number", "boolean"]}),
    "multipleOf": _keyword("A multiple of this.", {"type": "number"}),
    "allOf": _keyword("All of these fit.", _LIST),
    "anyOf": _keyword("At least one of these fits.", _LIST),
    "oneOf": _keyword("Exactly one of these fits.", _LIST),
    "not": _keyword("This does not fit.", _INNER),
    "if": _keyword("Where this fits, `then` must fit, otherwise `else`.", _INNER),
    "then": _keyword("What must fit where `if` does.", _INNER),
    "else": _keyword("What must fit where `if` does not.", _INNER),
    "$ref": _keyword("A place in the same schema, such as #/definitions/name.", {"type": "string"}),
    "definitions": _keyword("Schemas that `$ref` can lead to.", _NAMED),
}

JSON_SCHEMA: Schema = {
    "description": "A JSON schema.",
    "type": "object",
    "properties": KEYWORDS,
}
JSON_SCHEMA_OR_FLAG: Schema = {
    "if": {"type": "boolean"},
    "then": {},
    "else": reference("json_schema"),
}
_NAME = {"id": needed_text("What workflows, tasks and tools call it."), **resource("schema")}
SCHEMA: Schema = {
    **mapping("A JSON schema with an id.", {**_NAME, **KEYWORDS}, "id"),
    "additionalProperties": True,
}
