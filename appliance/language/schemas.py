"""JSON schemas (drafts 4, 6 and 7): checked, then compiled once, then applied with their defaults.

`fastjsonschema` turns a schema into Python code. It is only given a copy that was written here word
by word: known keywords with values of the right kind, references renamed, nothing to fetch. Patterns
are matched by the engine behind CEL, in linear time, so that no input can make one hang.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from appliance.errors import InvalidInput
from appliance.language.model import Json
from appliance.language.suggestions import hint

MAX_SUBSCHEMAS = 2000
MAX_MESSAGES = 5

Path = tuple[str | int, ...]
Fault = tuple[Path, str]
"""Where in a schema something is wrong, and what."""

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_ONE = frozenset(
    "additionalItems additionalProperties contains else if not propertyNames then".split()  # noqa: SIM905 - words
)
_MANY = frozenset(("allOf", "anyOf", "oneOf"))
_NAMED = frozenset(("properties", "patternProperties"))
_DEFINITIONS = frozenset(("definitions", "$defs"))
_COUNTS = frozenset("minItems maxItems minLength maxLength minProperties maxProperties".split())  # noqa: SIM905 - words
_LIMITS = frozenset("exclusiveMaximum exclusiveMinimum maximum minimum multipleOf".split())  # noqa: SIM905 - words
_SILENT = frozenset(
    (  # noqa: SIM905 - words
        "$comment $id $schema contentEncoding contentMediaType default deprecated description example"
        " examples id readOnly title writeOnly"
    ).split()
)
_NEWER = {
    "$anchor": "a $ref with a path, such as #/definitions/name",
    "$dynamicAnchor": "a $ref with a path, such as #/definitions/name",
    "$dynamicRef": "$ref",
    "$recursiveRef": "$ref",
    "dependentRequired": "dependencies",
    "dependentSchemas": "dependencies",
    "maxContains": "contains",
    "minContains": "contains",
    "prefixItems": "items with a list",
    "unevaluatedItems": "additionalItems",
    "unevaluatedProperties": "additionalProperties",
}


class Schema:
    """A compiled schema. `name` is what its messages call the value."""

    def __init__(self, schema: dict[str, Json], name: str = "input") -> None:
        self._schema = schema
        self._name = name
        self._validate = _generate(schema)

    def apply(self, value: Json) -> Json:
        """Return *value* with defaults filled in; *value* itself is left as it is.

        Raises InvalidInput naming the field; `details["problems"]` has every message.
        """
        from fastjsonschema import JsonSchemaValuesException

        try:
            filled = self._fill(self._schema, value)
            self._validate(filled, {}, self._name)
        except JsonSchemaValuesException as error:
            messages = list(dict.fromkeys(_message(each) for each in error.errors))
            shown = "; ".join(messages[:MAX_MESSAGES])
            raise InvalidInput(shown, problems=messages) from None
        except RecursionError:
            raise InvalidInput(f"{self._name} is nested too deeply") from None
        except ArithmeticError:
            raise InvalidInput(f"{self._name} holds a number that cannot be checked") from None
        return filled

    def _fill(self, schema: Json, value: Json) -> Json:
        schema = _followed(self._schema, schema)
        if not isinstance(schema, dict):
            return value
        for part in schema.get("allOf", ()):
            value = self._fill(part, value)
        if isinstance(value, dict) and "properties" in schema:
            return self._fill_object(schema["properties"], value)
        if isinstance(value, list) and "items" in schema:
            items = schema["items"]
            if not isinstance(items, list):
                return [self._fill(items, item) for item in value]
            filled = [self._fill(*pair) for pair in zip(items, value, strict=False)]
            return filled + value[len(filled) :]
        return value

    def _fill_object(self, properties: dict[str, Json], value: dict[str, Json]) -> dict[str, Json]:
        filled = dict(value)
        for name, schema in properties.items():
            if name in filled:
                filled[name] = self._fill(schema, filled[name])
            elif isinstance(schema, dict) and "default" in schema:
                filled[name] = self._fill(schema, copy.deepcopy(schema["default"]))
        return filled


def compile_schema(schema: dict[str, Json], name: str = "input") -> Schema:
    """Return *schema* compiled. Raises InvalidInput when it is not a schema that can be used here."""
    return Schema(schema, name)


def check_schema(schema: Json) -> list[Fault]:
    """Return everything that is wrong with a schema; nothing means that it can be compiled."""
    faults = list(_check(schema, schema, ()))
    if not faults:
        try:
            _generate(schema)
        except InvalidInput as error:
            faults.append(((), error.message))
    return faults


def _check(root: Json, schema: Json, path: Path) -> Iterator[Fault]:
    if isinstance(schema, bool) and path:
        return
    if not isinstance(schema, dict):
        yield path, "a JSON schema must be a mapping"
        return
    for key, value in schema.items():
        yield from _check_keyword(root, schema, (*path, key), key, value)
    for _key, sub, where in _subschemas(schema):
        yield from _check(root, sub, (*path, *where))


def _check_keyword(root: Json, schema: Json, path: Path, key: str, value: Json) -> Iterator[Fault]:
    if key in _NEWER:
        yield path, f"{key} belongs to a later JSON schema than draft 7; use {_NEWER[key]}"
    elif key in _KINDS:
        wanted, right = _KINDS[key]
        if key in ("exclusiveMaximum", "exclusiveMinimum") and _is_draft_4(root):
            wanted, right = "true or false in draft 4", lambda given: isinstance(given, bool)
        if not right(value):
            yield path, f"{key} must be {wanted}"
        elif key == "$ref":
            yield from _check_reference(root, schema, path, value)
        elif key == "pattern":
            yield from _check_pattern(path, value)
        elif key == "patternProperties":
            for pattern in value:
                yield from _check_pattern((*path, pattern), pattern)
    elif hint(key, _KINDS):
        yield path, f"unknown keyword {key!r}{hint(key, _KINDS)}"


def _check_reference(root: Json, schema: Json, path: Path, reference: str) -> Iterator[Fault]:
    idle = sorted(schema.keys() - _SILENT - _DEFINITIONS - {"$ref"})
    if idle:
        yield path, f"beside $ref, {', '.join(idle)} has no effect; use allOf"
    if not reference.startswith("#"):
        yield path, f"$ref must begin with #; nothing outside of the schema is read: {reference!r}"
    elif _pointed(root, reference) is None:
        yield path, f"$ref leads nowhere: {reference!r}"
    elif _followed(root, schema) is None:
        yield path, f"$ref leads back to itself: {reference!r}"


def _check_pattern(path: Path, pattern: str) -> Iterator[Fault]:
    try:
        _Pattern(pattern).search("")
    except InvalidInput as error:
        yield path, error.message


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_Kind = tuple[str, Callable[[Any], bool]]
_MAPPING: _Kind = ("a mapping", lambda value: isinstance(value, dict))
_ANY: _Kind = ("anything", lambda _value: True)
_TEXT: _Kind = ("text", lambda value: isinstance(value, str))
_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(_ONE, _ANY),
    **dict.fromkeys(_SILENT, _ANY),
    **dict.fromkeys(_NAMED | _DEFINITIONS | {"dependencies"}, _MAPPING),
    **dict.fromkeys(_MANY, ("a list with a schema", lambda v: isinstance(v, list) and bool(v))),
    **dict.fromkeys(_COUNTS, ("a whole number from 0", lambda v: type(v) is int and v >= 0)),
    **dict.fromkeys(_LIMITS, ("a number", _number)),
    "multipleOf": ("a number above 0", lambda value: _number(value) and value > 0),
    "items": ("a schema or a list of schemas", lambda v: isinstance(v, dict | list | bool)),
    "required": ("a list of names", lambda v: _texts(v) and len(v) == len(set(v))),
    "enum": ("a list of values", lambda value: isinstance(value, list)),
    "const": _ANY,
    "uniqueItems": ("true or false", lambda value: isinstance(value, bool)),
    "$ref": _TEXT,
    "format": _TEXT,
    "pattern": _TEXT,
    "type": (
        f"one of {', '.join(_TYPES)}, or a list of them",
        lambda v: (
            v in _TYPES if isinstance(v, str) else _texts(v) and {*v} <= {*_TYPES} and v != []
        ),
    ),
}


def _subschemas(schema: dict[str, Json]) -> Iterator[tuple[str, Json, Path]]:
    """Go over the schemas directly inside of one: keyword, schema and path."""
    for key, value in schema.items():
        if key in _ONE or (key == "items" and not isinstance(value, list)):
            yield key, value, (key,)
        elif key in (*_MANY, "items") and isinstance(value, list):
            for index, item in enumerate(value):
                yield key, item, (key, index)
        elif key in _NAMED | _DEFINITIONS | {"dependencies"} and isinstance(value, dict):
            for name, item in value.items():
                if not (key == "dependencies" and _texts(item)):
                    yield key, item, (key, name)


def _is_draft_4(root: Json) -> bool:
    return isinstance(root, dict) and "draft-04" in str(root.get("$schema", ""))


def _pointed(root: Json, reference: str) -> Json:
    """Return the schema that a `#/...` reference names, or None."""
    from urllib.parse import unquote

    found = root
    for part in unquote(reference[1:]).split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            return None
    return found if isinstance(found, dict | bool) and reference[1:2] in ("", "/") else None


def _followed(root: Json, schema: Json) -> Json:
    """Return the schema that a chain of references ends at, or None when it has no end."""
    seen = set()
    while isinstance(schema, dict) and "$ref" in schema:
        if schema["$ref"] in seen:
            return None
        seen.add(schema["$ref"])
        schema = _pointed(root, schema["$ref"])
    return schema


class _Copy:
    """The copy of a schema that code is made from."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._names: dict[str, str] = {}
        self._count = 0
        self.definitions: dict[str, Json] = {}
        self.patterns: set[str] = set()

    def of(self, schema: Json) -> Json:
        self._count += 1
        if self._count > MAX_SUBSCHEMAS:
            raise InvalidInput(f"the schema has more than {MAX_SUBSCHEMAS} parts")
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return {"$ref": f"#/definitions/{self._name(schema['$ref'])}"}
        clean = {key: schema[key] for key in schema.keys() & _KINDS.keys() - _SILENT - _DEFINITIONS}
        for key, sub, where in _subschemas(schema):
            if key in _DEFINITIONS:
                continue
            if len(where) == 1:
                clean[key] = self.of(sub)
            else:
                if clean[key] is schema[key]:
                    clean[key] = copy.copy(schema[key])
                clean[key][where[1]] = self.of(sub)
        self.patterns.update(clean.get("patternProperties", ()))
        self.patterns.update({clean["pattern"]} if "pattern" in clean else ())
        return {key: value for key, value in clean.items() if not _says_nothing(key, value, clean)}

    def _name(self, reference: str) -> str:
        """Return the name of the definition for *reference*: references alike to code stay apart."""
        name = self._names.get(reference)
        if name is None:
            name = self._names[reference] = f"d{len(self._names)}"
            self.definitions[name] = self.of(_pointed(self._root, reference))
        return name


def _says_nothing(key: str, value: Json, schema: dict[str, Json]) -> bool:
    """Whether a keyword has no effect; the generator makes broken code of some of these."""
    if key in ("additionalProperties", "additionalItems", "items", "patternProperties"):
        return value is True or value == {}
    return key == "if" and "then" not in schema and "else" not in schema


class _Pattern:
    """A regular expression in the place of a compiled one, matched in linear time."""

    def __init__(self, pattern: str) -> None:
        from appliance.language.cel import compile_program

        self._pattern = pattern
        self._program = compile_program("text.matches(pattern)")

    def search(self, text: str) -> bool:
        try:
            return bool(self._program.execute({"text": text, "pattern": self._pattern}))
        except RuntimeError as error:
            cause = str(error).rpartition("error: ")[2].partition(". Check")[0]
            raise InvalidInput(f"the pattern {self._pattern!r} is not valid: {cause}") from None


class _NoRemote(dict[str, Callable[[str], Any]]):
    """Handlers for references to other documents: whatever the scheme, there are none."""

    def __contains__(self, _scheme: object) -> bool:
        return True

    def __getitem__(self, scheme: str) -> NoReturn:
        raise ValueError(f"nothing is read from {scheme}")


def _generate(schema: dict[str, Json]) -> Callable[..., Any]:
    import fastjsonschema

    for _path, message in _check(schema, schema, ()):
        raise InvalidInput(f"not a valid schema: {message}")
    copied = _Copy(schema)
    clean = copied.of(schema)
    draft = "draft-04" if _is_draft_4(schema) else "draft-07"
    clean |= {"$schema": f"http://json-schema.org/{draft}/schema"}
    clean |= {"definitions": copied.definitions} if copied.definitions else {}
    try:
        validate = fastjsonschema.compile(
            clean, handlers=_NoRemote(), use_default=False, fast_fail=False
        )
    except fastjsonschema.JsonSchemaDefinitionException as error:
        raise InvalidInput(f"the schema cannot be used: {str(error)[:400]}") from None
    except Exception:  # noqa: BLE001 - the generator raises nearly every built-in error
        raise InvalidInput("the schema cannot be used; perhaps it is nested too deeply") from None
    patterns = validate.__globals__["REGEX_PATTERNS"]
    patterns.update({pattern: _Pattern(pattern) for pattern in copied.patterns})
    return validate


def _message(error: Any) -> str:
    """Return a sentence for one error of the library."""
    name, rule, definition = error.name, error.rule, error.definition
    if rule == "required":
        missing = ", ".join(key for key in definition["required"] if key not in error.value)
        return f"{name} needs {missing}"
    if rule == "additionalProperties":
        known = definition.get("properties", {})
        patterns = [_Pattern(pattern) for pattern in definition.get("patternProperties", ())]
        for key in error.value:
            if key not in known and not any(pattern.search(key) for pattern in patterns):
                return f"{name} has no field {key[:100]!r}{hint(key, known)}"
    return str(error.message)[:400]
