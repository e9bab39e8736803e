"""JSON from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInput
from appliance.server.payload import MAX_DEPTH, parse

_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | _TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=30,
)


@given(_VALUES, st.booleans())
def test_what_json_can_say_comes_through(value: Any, escaped: bool) -> None:
    """Every value that both databases can hold is read as it was written, escaped or not."""
    assert value == parse(json.dumps(value, ensure_ascii=escaped).encode())


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "line 1, column 1"),
        (b'{"a":\n 1,}', "line 2, column 4"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[-Infinity]", "Infinity is not JSON"),
        (b"1e999", "beyond the range of a double"),
        (b"9223372036854775808", "more than 64 bit"),
        (b"-9223372036854775809", "more than 64 bit"),
        (b"1" * 100_000, "more than 64 bit"),
        (b'{"a": "\\u0000"}', "U+0000"),
        (b'{"\\u0000": 1}', "U+0000"),
        (b'["\\ud800"]', "lone surrogate"),
        (b'"\\udc00\\ud800"', "lone surrogate"),
        (b'"a\x00b"', "Invalid control character"),
        (b'"\xff"', "not UTF-8 (byte 1)"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is said twice"),
        (b"{} {}", "Extra data"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 5_000_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
    ],
)
def test_what_a_database_could_not_hold_is_refused(body: bytes, complaint: str) -> None:
    """Refused here, so that it is the same on both databases, with a sentence that says why."""
    with pytest.raises(InvalidInput) as caught:
        parse(body)
    assert complaint in caught.value.message


def test_brackets_in_text_are_not_depth() -> None:
    """Only structure counts as depth, and the deepest that is allowed is allowed."""
    text = '[{"\\"' * 100
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert text == parse(json.dumps(text).encode())
    assert json.loads(deepest) == parse(deepest.encode())


def test_an_escaped_backslash_is_not_an_escape() -> None:
    """The six characters backslash, u and four zeros are text like any other."""
    assert "\\u0000" == parse(b'"\\\\u0000"')
