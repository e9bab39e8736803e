"""Did you mean: what a mistyped name is taken for."""

from __future__ import annotations

import pytest

from appliance.language.suggestions import hint, nearest

KNOWN = ["fetch_rate", "decide", "notify", "notify-all", "tool"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fetch_rat", "fetch_rate"),
        ("fetch-rate", "fetch_rate"),
        ("Decide", "decide"),
        ("decdie", "decide"),
        ("tol", "tool"),
        ("fet", "fetch_rate"),
        ("notify_all", "notify-all"),
        ("zzz", None),
        ("", None),
        ("x" * 10_000, None),
    ],
)
def test_the_nearest_name_is_found(name: str, expected: str | None) -> None:
    """Typing errors, other separators and beginnings are recognised."""
    assert expected == nearest(name, KNOWN)


def test_a_hint_is_the_end_of_a_sentence() -> None:
    """Nothing near means nothing said."""
    assert "; did you mean 'tool'?" == hint("tol", KNOWN)
    assert "" == hint("zzz", KNOWN)


def test_thousands_of_names_are_not_compared() -> None:
    """Help must not cost minutes."""
    assert nearest("task1", (f"task{n}" for n in range(2000))) is None
