"""Durations: every form that people write, and nothing that only looks like one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInput
from appliance.language.durations import MAX_SECONDS, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("90s", 90.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("5 seconds", 5.0),
        ("1 second", 1.0),
        ("2 minutes", 120.0),
        ("1 hour", 3600.0),
        ("1 hour 30 minutes", 5400.0),
        ("1 day and 2 hours", 93_600.0),
        ("1d", 86_400.0),
        ("1d12h", 129_600.0),
        ("2 weeks", 1_209_600.0),
        (" 3 Minutes ", 180.0),
        ("36500d", MAX_SECONDS),
    ],
)
def test_go_human_and_day_forms_are_seconds(text: str, seconds: float) -> None:
    """Go form, words, and days mean what they say."""
    assert seconds == pytest.approx(parse_duration(text))


@pytest.mark.parametrize(
    "text", ["", "5", "1.5", "-1s", "s", "1x", "1h-5m", "1 2s", "1h30", "\u0661s"]
)
def test_what_has_no_unit_or_sense_is_refused(text: str) -> None:
    """A number without a unit could mean anything, so it is refused with the forms that are known."""
    with pytest.raises(InvalidInput, match="is not a duration; write for example 90s"):
        parse_duration(text)


def test_more_than_a_hundred_years_is_a_mistake() -> None:
    """What is longer would not fit where times are stored."""
    with pytest.raises(InvalidInput, match="'36501d' is longer than 100 years"):
        parse_duration("36501d")


@given(st.text() | st.text("0123456789. smhduns,and"))
def test_any_text_is_seconds_or_refused(text: str) -> None:
    """Nothing but InvalidInput comes out, and never a negative or endless time."""
    seconds = 0.0
    with contextlib.suppress(InvalidInput):
        seconds = parse_duration(text)
    assert 0 <= seconds <= MAX_SECONDS
