"""JSON schemas: what they accept, how they refuse, and that they cannot do anything else."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appliance.errors import InvalidInput
from appliance.language.schemas import check_schema, compile_schema

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "default": "Ada"},
        "age": {"type": "integer", "minimum": 0},
        "mail": {"type": "string", "pattern": "^[^@]+@[^@]+$"},
        "color": {"enum": ["red", "blue"]},
        "address": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "land": {"default": "PT"}},
            "required": ["city"],
        },
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def refusal(schema: dict[str, Any], value: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        compile_schema(schema).apply(value)
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": 1}, "input.name must be string"),
        ({"name": "x"}, "input.name must be longer than or equal to 2 characters"),
        ({"age": True}, "input.age must be integer"),
        ({"age": -1}, "input.age must be bigger than or equal to 0"),
        ({"mail": "x"}, "input.mail must match pattern ^[^@]+@[^@]+$"),
        ({"color": "green"}, "input.color must be one of ['red', 'blue']"),
        ({"address": {}}, "input.address needs city"),
        ({"tags": ["a", 2]}, "input.tags[1] must be string"),
        ({"tags": ["a", "a"]}, "input.tags must contain unique items"),
        ({"nmae": "x"}, "input has no field 'nmae'; did you mean 'name'?"),
        ({"{x}": 1}, "input has no field '{x}'"),
        ("text", "input must be object"),
        (None, "input must be object"),
    ],
)
def test_a_refusal_names_the_field(value: Any, expected: str) -> None:
    """Who gave the input learns which field is wrong and what it must be."""
    assert expected == refusal(PERSON, value)


def test_every_refusal_is_told_at_once() -> None:
    """The message has them all, and so has `problems`."""
    with pytest.raises(InvalidInput) as caught:
        compile_schema(PERSON).apply({"age": "old", "tags": [1, 2]})

    problems = ["input.age must be integer"] + [
        f"input.tags[{index}] must be string" for index in (0, 1)
    ]
    assert problems == caught.value.details["problems"]
    assert "; ".join(problems) == caught.value.message


def test_defaults_are_merged_into_objects_at_every_depth() -> None:
    """Defaults fill what is missing, also inside of given objects and lists; nothing is replaced."""
    schema = {
        "properties": {
            "a": {"default": 1},
            "o": {"properties": {"b": {"default": [2]}, "c": {"default": 3}}},
            "l": {"items": {"$ref": "#/definitions/item"}},
            "d": {"default": {"x": 0}, "properties": {"y": {"default": 5}}},
        },
        "required": ["a"],
        "allOf": [{"properties": {"z": {"default": 9}}}],
        "definitions": {"item": {"properties": {"n": {"default": 4}}}},
    }
    given_value = {"o": {"c": 7}, "l": [{}, {"n": 5}, 6]}

    filled = compile_schema(schema).apply(given_value)

    expected = {
        "a": 1,
        "o": {"b": [2], "c": 7},
        "l": [{"n": 4}, {"n": 5}, 6],
        "d": {"x": 0, "y": 5},
        "z": 9,
    }
    assert expected == filled
    assert {"o": {"c": 7}, "l": [{}, {"n": 5}, 6]} == given_value


def test_a_default_belongs_to_one_value_only() -> None:
    """Changing a filled value does not change the next one."""
    schema = compile_schema({"properties": {"l": {"default": []}}})
    schema.apply({})["l"].append(1)
    assert {"l": []} == schema.apply({})


def test_a_recursive_schema_goes_as_deep_as_the_value() -> None:
    """References may lead back; too deep a value is refused, not a crash."""
    schema = {
        "type": "object",
        "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}},
        "additionalProperties": False,
    }
    chain: dict[str, Any] = {}
    for _ in range(100_000):
        chain = {"next": chain}

    assert {"next": {"n": 1}} == compile_schema(schema).apply({"next": {"n": 1}})
    assert "input.next.next.n must be integer" == refusal(schema, {"next": {"next": {"n": "x"}}})
    assert "input is nested too deeply" == refusal(schema, chain)


def test_references_that_look_alike_stay_apart() -> None:
    """`a-b` and `a_b` are two definitions, though the code made from them could mix them up."""
    schema = {
        "properties": {
            "x": {"$ref": "#/definitions/a-b"},
            "y": {"$ref": "#/definitions/a_b"},
        },
        "definitions": {"a-b": {"type": "string"}, "a_b": {"type": "integer"}},
    }
    assert {"x": "s", "y": 1} == compile_schema(schema).apply({"x": "s", "y": 1})
    assert "input.y must be integer" == refusal(schema, {"x": "s", "y": "s"})


def test_draft_4_has_exclusive_limits_that_are_flags() -> None:
    """`$schema` says draft 4; without it `exclusiveMinimum` is a number."""
    old = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "minimum": 1,
        "exclusiveMinimum": True,
    }
    assert "input must be bigger than 1" == refusal(old, 1)
    assert "input must be bigger than 1" == refusal({"exclusiveMinimum": 1}, 1)


def test_formats_and_conditions_of_draft_7_count() -> None:
    """if/then/else, const, contains, dependencies, propertyNames and formats are there."""
    schema = {
        "if": {"properties": {"kind": {"const": "mail"}}, "required": ["kind"]},
        "then": {"required": ["to"]},
        "properties": {"to": {"format": "email"}, "l": {"contains": {"type": "null"}}},
        "dependencies": {"a": ["b"]},
        "propertyNames": {"maxLength": 4},
    }
    assert {"kind": "sms"} == compile_schema(schema).apply({"kind": "sms"})
    assert "input needs to" == refusal(schema, {"kind": "mail"})
    assert "input.to must be email" == refusal(schema, {"to": "x"})
    assert "input missing dependency b for a" == refusal(schema, {"a": 1})
    assert "input.l must contain one of contains definition" == refusal(schema, {"l": [1]})
    assert "input must be named by propertyName definition" == refusal(schema, {"long_name": 1})


def test_content_is_never_decoded() -> None:
    """`contentEncoding` describes a text; it does not change it."""
    schema = {"contentEncoding": "base64", "contentMediaType": "application/json"}
    assert "WzFd" == compile_schema(schema).apply("WzFd")


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_can_hang(pattern: str) -> None:
    """Patterns are matched in linear time, whatever the input; in keys too."""
    schema = {"pattern": pattern, "patternProperties": {pattern: {}}, "additionalProperties": False}
    began = time.perf_counter()

    assert "must match pattern" in refusal(schema, "a" * 50_000 + "!")
    assert "has no field" in refusal(schema, {"a" * 50_000 + "!": 1})
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("schema", "place", "message"),
    [
        ([], (), "a JSON schema must be a mapping"),
        (
            {"type": "strin"},
            ("type",),
            (
                "type must be one of array, boolean, integer, null, number, object, string,"
                " or a list of them"
            ),
        ),
        ({"typ": "string"}, ("typ",), "unknown keyword 'typ'; did you mean 'type'?"),
        ({"minLength": "1)"}, ("minLength",), "minLength must be a whole number from 0"),
        ({"minLength": True}, ("minLength",), "minLength must be a whole number from 0"),
        ({"minimum": "x"}, ("minimum",), "minimum must be a number"),
        ({"multipleOf": 0}, ("multipleOf",), "multipleOf must be a number above 0"),
        ({"required": "name"}, ("required",), "required must be a list of names"),
        ({"enum": {}}, ("enum",), "enum must be a list of values"),
        ({"properties": {"a": 3}}, ("properties", "a"), "a JSON schema must be a mapping"),
        ({"items": [{}, {"type": 1}]}, ("items", 1, "type"), None),
        ({"allOf": []}, ("allOf",), "allOf must be a list with a schema"),
        ({"exclusiveMinimum": True}, ("exclusiveMinimum",), "exclusiveMinimum must be a number"),
        (
            {"pattern": "("},
            ("pattern",),
            "the pattern '(' is not valid: unclosed group",
        ),
        (
            {"patternProperties": {"(?=a)": {}}},
            ("patternProperties", "(?=a)"),
            (
                "the pattern '(?=a)' is not valid: look-around, including look-ahead and look-behind,"
                " is not supported"
            ),
        ),
        (
            {"$ref": "http://example.org/schema"},
            ("$ref",),
            (
                "$ref must begin with #; nothing outside of the schema is read:"
                " 'http://example.org/schema'"
            ),
        ),
        ({"$ref": "#/definitions/x"}, ("$ref",), "$ref leads nowhere: '#/definitions/x'"),
        ({"$ref": "#"}, ("$ref",), "$ref leads back to itself: '#'"),
        (
            {"properties": {"a": {"$ref": "#", "type": "object"}}},
            ("properties", "a", "$ref"),
            "beside $ref, type has no effect; use allOf",
        ),
        (
            {"prefixItems": []},
            ("prefixItems",),
            "prefixItems belongs to a later JSON schema than draft 7; use items with a list",
        ),
        (
            {"required": ["a"], "additionalProperties": False},
            (),
            "the schema cannot be used: data: items ['a'] are required but not allowed",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_says_where(
    schema: Any, place: tuple[str | int, ...], message: str | None
) -> None:
    """Schemas are checked when the project is loaded, keyword by keyword."""
    path, found = check_schema(schema)[0]

    assert place == path
    assert message is None or message == found
    if isinstance(schema, dict):
        with pytest.raises(InvalidInput):
            compile_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [{"$ref": "http://127.0.0.1:1/x"}]},
        {"const": {"$ref": "file:///etc/hostname"}},
        {"default": {"$ref": "http://127.0.0.1:1/x"}},
        {"$id": "http://127.0.0.1:1/x", "properties": {"a": {"$id": "file:///etc"}}},
    ],
)
def test_nothing_is_ever_fetched(schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that looks like a reference opens no connection and no file."""
    opened: list[str] = []
    monkeypatch.setattr("urllib.request.urlopen", opened.append)

    check_schema(schema)

    assert [] == opened


def test_a_huge_schema_is_refused() -> None:
    """Code is only made from schemas of a sane size."""
    wide: dict[str, Any] = {"properties": {f"p{n}": {} for n in range(3000)}}
    deep: dict[str, Any] = {}
    for _ in range(90):
        deep = {"properties": {"a": deep}}

    assert [((), "the schema has more than 2000 parts")] == check_schema(wide)
    assert "nested too deeply" in check_schema(deep)[0][1]


_NASTY = st.text(min_size=1) | st.sampled_from(
    [
        '"',
        "\\",
        '\\"',
        "'''",
        "{",
        "}",
        "{x}",
        "{0}",
        "{data}",
        "\n",
        "\r",
        "%s",
        '"+x+"',
        "\\N{DASH}",
        '"); __import__("os").abort() #',
        "x\n    raise SystemExit",
        "{data.__class__}",
        "a-b",
        "$ref",
    ]
)


@given(_NASTY, _NASTY)
def test_no_name_or_value_of_a_schema_becomes_code(key: str, value: str) -> None:
    """A schema is data: its keys and values mean themselves in the code made from it."""
    assume(value != "$ref")  # a mapping with this key counts as a reference, even in an enum
    schema = compile_schema(
        {
            "properties": {
                key: {"type": ["string", "object"], "enum": [value, {value: key}]},
            },
            "required": [key],
            "dependencies": {key: [key]},
            "definitions": {key: {"const": value}},
            "additionalProperties": {"const": value},
            "description": value,
        }
    )

    assert {key: value} == schema.apply({key: value})
    assert {key: {value: key}, key + "x": value} == schema.apply(
        {key: {value: key}, key + "x": value}
    )
    with pytest.raises(InvalidInput):
        schema.apply({key: value + "x"})
    with pytest.raises(InvalidInput):
        schema.apply({})


_WORDS = (
    "type enum const allOf anyOf not if then items properties required pattern $ref minLength"
    " multipleOf additionalProperties patternProperties dependencies definitions default format"
    " uniqueItems contains propertyNames"
)
_KEYWORDS = st.sampled_from(_WORDS.split())
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["object", "string", "array", "#", "#/definitions/a", "a", "^a", "date"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_KEYWORDS | st.just("a"), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(_JSON, _JSON)
def test_any_json_is_a_schema_or_refused(schema: Any, value: Any) -> None:
    """What check_schema lets through compiles, and applying it returns or raises InvalidInput."""
    if check_schema(schema):
        return
    with contextlib.suppress(InvalidInput):
        compile_schema(schema).apply(value)
