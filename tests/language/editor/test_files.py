"""The schemas themselves: whole, described, and of a draft that editors know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInput
from appliance.language.durations import UNITS, parse_duration
from appliance.language.editor.fields import DURATION, PLACE
from appliance.language.editor.files import DRAFT, NAMES, document, file_name, written
from appliance.language.sources import _KINDS
from tests.language.editor.validation import complaints


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Go over the mappings in a schema."""
    if isinstance(value, list):
        for item in value:
            yield from mappings(item)
    elif isinstance(value, dict):
        yield value
        for item in value.values():
            yield from mappings(item)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_stands_by_itself(name: str) -> None:
    """It is valid, it holds all that it refers to and nothing else, and nothing is to be fetched."""
    schema = document(name)

    jsonschema_rs.meta.validate(schema)
    assert (DRAFT, file_name(name)) == (schema["$schema"], schema["$id"])
    references = {each["$ref"] for each in mappings(schema) if isinstance(each.get("$ref"), str)}
    assert {f"{PLACE}{part}" for part in schema["definitions"]} == references
    assert schema == json.loads(written(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_described(name: str) -> None:
    """An editor shows a sentence for each field."""
    for part in mappings(document(name)):
        fields = part.get("properties", {})
        if part.get("additionalProperties") is False:
            for key, field in fields.items():
                assert str(field.get("description", "")).endswith("."), key


def test_there_is_one_for_each_kind_of_file() -> None:
    """Whatever `resource` can say has a schema, and so has compozy.yaml."""
    aliases = {"vectordb"}
    assert {*_KINDS} - aliases | {"project", "resource", "schedule", "trigger"} == {*NAMES}


def test_a_file_is_held_against_what_it_says_that_it_is() -> None:
    """`resource` chooses; without it nobody can know."""
    assert [] == complaints("resource", {"resource": "tool", "id": "a"})
    assert complaints("resource", {"resource": "tool", "id": "a", "tasks": []})
    assert complaints("resource", {"id": "a"})


def test_a_task_is_held_against_its_type_alone() -> None:
    """One mistake is one complaint, and it names the key."""
    task = {"id": "a", "type": "router", "condition": "true", "routes": {}, "rotes": {}}

    (complaint,) = complaints("task", task)

    assert "'rotes' was unexpected" in complaint


AMOUNTS = st.sampled_from(["1", "1.5", ".5", "90", "1e3", "", "-1", "\u0661"])
NAMES_OF_UNITS = st.sampled_from([*UNITS, *(unit.upper() for unit in UNITS), "minuts", "", "y"])
VALID = jsonschema_rs.Draft7Validator(DURATION).is_valid
PARTS = st.tuples(
    AMOUNTS,
    st.sampled_from(["", " ", "    "]),
    NAMES_OF_UNITS,
    st.sampled_from(["", "s"]),
    st.sampled_from(["", " ", ", ", " and ", " or "]),
).map("".join)


@given(st.one_of(st.lists(PARTS, min_size=1, max_size=3).map("".join), st.text("0159 .,smhdwa")))
def test_durations_are_those_of_the_loader(text: str) -> None:
    """The expression takes what the loader takes."""
    try:
        parse_duration(text)
        taken = True
    except InvalidInput as refused:
        if "100 years" in refused.message:
            return
        taken = False

    assert taken == VALID(text)
