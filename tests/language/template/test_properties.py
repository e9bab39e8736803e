"""What holds for every template and every value."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.language.template import (
    Environment,
    TemplateError,
    compile_text,
    compile_value,
)
from appliance.language.template.functions import FUNCTIONS

ENV = Environment(1_773_500_966_535_897, "1")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)
FRAGMENTS = st.sampled_from(
    ["{{", "}}", "{{-", "-}}", "/*", "*/", '"', "`", "'", "(", ")", "|", ":=", "=", ",", ".", "$", "$x",
     ".a", ".b.c", "$.a", "1", "0x", "-1", "1e9", "if", "else", "end", "range", "with", "define", "block",
     "template", "break", "continue", "nil", "true", " ", "\n", "\\", "a b", *sorted(FUNCTIONS)]
)  # fmt: skip
GARBAGE = st.lists(FRAGMENTS | st.text(max_size=3), max_size=15).map("".join) | st.lists(
    FRAGMENTS, max_size=10
).map(lambda parts: "{{ " + " ".join(parts) + " }}")


def exactly(left: Any, right: Any) -> bool:
    """Compare as JSON does: 1, 1.0 and true are three different things."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(exactly(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(exactly, left, right))
    return type(left) is type(right) and bool(left == right)


@given(JSON)
def test_a_lone_path_gives_the_value_itself(value: Any) -> None:
    """`{{ .v }}` keeps every JSON value, type and all."""
    assert exactly(value, compile_text("{{ .v }}").value({"v": value}, ENV))


@given(JSON)
def test_json_survives_a_round_trip(value: Any) -> None:
    """What `toJson` writes, `fromJson` reads, within a template and as a whole."""
    for name in ("toJson", "toRawJson", "toPrettyJson"):
        source = "{{ .v | " + name + " | fromJson | list | first }}"
        result = compile_text(source).value({"v": [value]}, ENV)
        assert exactly([value], result)


@given(JSON)
def test_equal_values_are_deeply_equal(value: Any) -> None:
    """`deepEqual` agrees with itself, and a copy is equal to its original."""
    assert compile_text("{{ deepEqual .v (deepCopy .v) }}").value({"v": value}, ENV) is True
    assert compile_text("{{ has .v (list 0 .v) }}").value({"v": value}, ENV) is True


@given(JSON)
def test_text_of_any_value(value: Any) -> None:
    """Every value can be printed, in every way."""
    source = '{{ .v }}{{ print .v }}{{ printf "%v %s %d %q %x %f %T" .v .v .v .v .v .v .v }}{{ quote .v }}'
    assert compile_text(source).text({"v": value}, ENV)


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    """Only `{{` means anything."""
    assert text == compile_text(text).text({}, ENV)
    assert compile_value(text).constant


@settings(max_examples=500, deadline=None)
@given(GARBAGE)
@example("{{ $x := . }}{{ $x.a.b }}")
def test_garbage_never_raises_anything_but_a_template_error(source: str) -> None:
    """Whatever the text, it renders or it raises TemplateError."""
    with suppress(TemplateError):
        compile_text(source).value({"a": 1, "b": {"c": [1, "x"]}}, ENV)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(JSON, max_size=4))
def test_a_function_never_raises_anything_but_a_template_error(
    name: str, values: list[Any]
) -> None:
    """Whatever the arguments, a function answers with JSON or raises TemplateError."""
    arguments = "".join(f" (index .v {place})" for place in range(len(values)))
    with suppress(TemplateError):
        result = compile_text("{{ " + name + arguments + " }}").value({"v": values}, ENV)
        assert exactly(result, json.loads(json.dumps(result, allow_nan=False)))
