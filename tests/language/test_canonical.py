"""Rules of writing: what was written is read back as the same data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.language import canonical, yaml

LOOKALIKES = (
    *("no on y 1:20 0o17 0x1F 08 1e5 +1 .5 ~ null true 2024-01-01 << = {{.a}} #a".split()),  # noqa: SIM905 - words
    *("- : ? | > % @ a: a\nb a\n a\t\nb- 1_000 ' \"".split(" ")),  # noqa: SIM905 - words
    *("", " ", " a", "a ", "a: b", "\n a", "- x", "\x85"),
)
READABLE = st.characters(
    blacklist_categories=("Cs", "Cc"),
    whitelist_characters="\n\t",
    blacklist_characters="\ufeff\ufffe\uffff",
)
TEXT = st.text(READABLE, max_size=40)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT.filter(bool), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("text", LOOKALIKES)
def test_a_text_stays_a_text(text: str) -> None:
    """Whatever a text looks like, it does not become a number, a truth or nothing."""
    for value in (text, [text], {text or "x": text}):
        assert value == yaml.load(canonical.to_yaml(value), "x.yaml").data


@settings(max_examples=300, deadline=None)
@given(VALUES)
@example({"a": "0o7", "b": ["1e5", 1e5, 1e20, -0.0]})
def test_what_is_written_is_read_back(value: Any) -> None:
    """Every value that our reader can give comes back as it was, numbers with their kind."""
    again = yaml.load(canonical.to_yaml(value), "x.yaml").data
    assert repr(value) == repr(again)


def test_the_digest_goes_by_meaning() -> None:
    """Order of keys and form of the text do not matter; what is said does."""
    first = yaml.load("{a: 1, b: [x, y]}", "x.yaml").data
    second = yaml.load("b:\n- x\n- 'y'\na: 1\n", "x.yaml").data
    assert canonical.digest(first) == canonical.digest(second)
    assert canonical.digest(first) != canonical.digest({**first, "a": 1.0})
