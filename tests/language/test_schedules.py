"""Timetables: what can be written, and when it is due, also where the clock is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import InvalidInput
from appliance.language.model import Schedule
from appliance.language.schedules import Timetable, faults, parse_moment

ZONES = [
    "UTC",
    "Europe/Lisbon",
    "America/New_York",
    "America/Havana",  # moved at midnight
    "Australia/Lord_Howe",  # moved by half an hour
    "Pacific/Apia",  # a day was left out in 2011
    "Asia/Kathmandu",  # 5:45
]
SECOND = 1_000_000


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def shown(tick: int | None, zone: str = "UTC") -> str:
    assert tick is not None
    return datetime.fromtimestamp(tick // SECOND, ZoneInfo(zone)).isoformat()


def following(cron: str, zone: str, start: str, amount: int) -> list[str]:
    """The first ticks after a moment, without their date, as the local clock shows them."""
    table, moment = Timetable(cron, zone), us(start)
    found = []
    for _ in range(amount):
        tick = table.next_after(moment)
        assert tick is not None
        found.append(shown(tick, zone)[11:])
        moment = tick
    return found


# --- what can be written


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 15 8 * * *", "2026-01-02T08:15:30"),
        ("15 8 * * *", "2026-01-02T08:15:00"),
        ("0 30 6 * * 1-5", "2026-01-02T06:30:00"),
        ("0 30 6 * * SAT,sun", "2026-01-03T06:30:00"),
        ("0 0 12 1 FEB-APR ?", "2026-02-01T12:00:00"),
        ("*/20 * * * * *", "2026-01-01T09:00:20"),
        ("5-10/5 0 9-17/4 * * *", "2026-01-01T09:00:05"),
        ("0 0 0 L * *", "2026-01-31T00:00:00"),
        ("0 0 0 LW * *", "2026-01-30T00:00:00"),
        ("0 0 0 ? * MON#2", "2026-01-12T00:00:00"),
        ("0 0 0 * * 5L", "2026-01-30T00:00:00"),
        ("0 0 0 * * 7", "2026-01-04T00:00:00"),
        ("0 0 0 13 * FRI", "2026-01-02T00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("@hourly", "2026-01-01T10:00:00"),
        ("@daily", "2026-01-02T00:00:00"),
        ("@Weekly", "2026-01-04T00:00:00"),
        ("@monthly", "2026-02-01T00:00:00"),
        ("@yearly", "2027-01-01T00:00:00"),
        ("@every 90s", "2026-01-01T09:01:30"),
        ("@every 1h30m", "2026-01-01T10:30:00"),
        ("  @every   1 day ", "2026-01-02T00:00:00"),
    ],
)
def test_what_can_be_written(cron: str, expected: str) -> None:
    """Five and six fields, names, ranges, steps, lists, last days, numbered weekdays, shorthands."""
    tick = Timetable(cron).next_after(us("2026-01-01T09:00:00+00:00"))
    assert f"{expected}+00:00" == shown(tick)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cron", "", "has 0 fields"),
        ("cron", "* * *", "has 3 fields; write six"),
        ("cron", "0 0 9 * * MON 2030", "has 7 fields"),
        ("cron", "0 99 * * *", "the hour '99' is not valid (0-23)"),
        ("cron", "0 0 0 * FOO *", "the month 'FOO' is not valid (1-12 or JAN-DEC)"),
        ("cron", "61 * * * * *", "the second '61'"),
        ("cron", "*/0 * * * *", "the minute '*/0'"),
        ("cron", "0 0 * * FRI-MON", "the day-of-week 'FRI-MON'"),
        ("cron", "0 0 31 2,4 *", "never comes"),
        ("cron", "0 0 */20 * 1L", "never comes"),
        ("cron", "@often", "cron '@often' is not known; it is one of @hourly"),
        ("cron", "@every soon", "is not a duration"),
        ("cron", "@every 0s", "at least 1s"),
        ("cron", "@every 1.5s", "whole seconds"),
        ("cron", "9" * 5000, "longer than 200 characters"),
        ("timezone", "Mars/Base", "timezone 'Mars/Base' is not known"),
        ("timezone", "", "timezone '' is not known"),
        ("timezone", "../UTC", "is not known"),
        ("timezone", "Europe", "is not known"),
        ("end_at", 5, "end_at must be later than start_at"),
        ("jitter", -1.0, "jitter is -1 seconds"),
        ("input", {"region": 7}, "region"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: object, said: str) -> None:
    """One sentence that names the field and what stands in it."""
    schema = {"type": "object", "properties": {"region": {"type": "string"}}}
    written = {"cron": "@daily", "start_at": 5 if field == "end_at" else None, field: value}
    [(where, sentence)] = faults(Schedule(**written), schema)  # type: ignore[arg-type] # wrong on purpose
    assert field == where
    assert said in sentence
    assert "\n" not in sentence


@given(st.text(alphabet="0123456789*/-,LW#?@everyMONJAN ²", max_size=30))
def test_nothing_written_breaks_it(cron: str) -> None:
    """Whatever is written is a timetable or one sentence, never another error."""
    try:
        table = Timetable(cron)
    except InvalidInput:
        return
    assert table.next_after(us("2026-01-01T00:00:00+00:00")) is not None


def test_moments() -> None:
    """A time of RFC 3339 says its offset; what does not is refused."""
    assert us("2030-01-31T08:00:00+00:00") == parse_moment("2030-01-31T08:00:00Z")
    assert us("2030-01-31T07:00:00+00:00") == parse_moment(" 2030-01-31T08:00:00.000+01:00")
    for wrong in ("2030-01-31T08:00:00", "2030-01-31", "tomorrow", ""):
        with pytest.raises(InvalidInput, match="is not a time with its offset"):
            parse_moment(wrong)


# --- when it is due

moments = st.integers(us("2009-01-01T00:00:00+00:00"), us("2040-01-01T00:00:00+00:00"))


def _some(low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=1, max_size=3, unique=True)


@st.composite
def fields(draw: st.DrawFn) -> tuple[str, list[set[int]]]:
    """Fields as text and as what they mean, seconds first; the days are left alone."""
    texts, meanings = [], []
    for low, high in ((0, 59), (0, 59), (0, 23)):
        kind = draw(st.sampled_from(["any", "some", "step"]))
        if kind == "any":
            texts.append("*")
            meanings.append(set(range(low, high + 1)))
        elif kind == "some":
            chosen = draw(_some(low, high))
            texts.append(",".join(map(str, chosen)))
            meanings.append(set(chosen))
        else:
            step = draw(st.integers(1, high))
            texts.append(f"*/{step}")
            meanings.append(set(range(low, high + 1, step)))
    days = draw(st.lists(st.integers(0, 6), min_size=1, max_size=6, unique=True))
    texts += ["*", "*", ",".join(map(str, days))]
    return " ".join(texts), [*meanings, set(days)]


@settings(deadline=None)
@given(fields(), moments)
def test_a_tick_is_later_and_matches(written: tuple[str, list[set[int]]], moment: int) -> None:
    """The next tick is strictly later, matches every field, and no earlier second does."""
    cron, (seconds, minutes, hours, days) = written
    tick = Timetable(cron).next_after(moment)
    assert tick is not None
    assert tick > moment

    def matches(second: int) -> bool:
        local = datetime.fromtimestamp(second, UTC)
        parts = (local.second, local.minute, local.hour, local.isoweekday() % 7)
        return all(
            part in wanted
            for part, wanted in zip(parts, (seconds, minutes, hours, days), strict=True)
        )

    assert matches(tick // SECOND)
    first = moment // SECOND + 1
    assert not any(matches(second) for second in range(first, min(tick // SECOND, first + 4000)))


@settings(deadline=None)
@given(fields(), st.sampled_from(ZONES), moments)
def test_looking_back_finds_what_looking_ahead_found(
    written: tuple[str, list[set[int]]], zone: str, moment: int
) -> None:
    """Ticks are the same in both directions, in every zone, without one twice."""
    table = Timetable(written[0], zone)
    ahead: list[int] = []
    for _ in range(20):
        tick = table.next_after(ahead[-1] if ahead else moment)
        assert tick is not None
        ahead.append(tick)
    assert sorted(set(ahead)) == ahead
    assert ahead[::-1] == list(islice(table.newest(ahead[-1]), 20))
    assert ahead[-2] == next(table.newest(ahead[-1] - 1))


@settings(deadline=None)
@given(
    st.sampled_from([zone for zone in ZONES if zone != "Pacific/Apia"]),
    st.integers(0, 23),
    st.integers(0, 59),
    st.dates(datetime(2010, 1, 2).date(), datetime(2037, 12, 28).date()),  # noqa: DTZ001
)
def test_a_daily_time_comes_once_a_day(zone: str, hour: int, minute: int, day: object) -> None:
    """Where the clock is moved a named time is due once: never twice, never not at all."""
    midnight = int(
        datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=ZoneInfo(zone)).timestamp()
    )
    table = Timetable(f"0 {minute} {hour} * * *", zone)
    ticks = islice(table.newest((midnight + 5 * 86_400) * SECOND), 4)
    assert all(20 <= (later - tick) / SECOND / 3600 <= 28 for later, tick in pairwise(ticks))


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        # In Lisbon 01:00 is 02:00 on 2026-03-29.
        ("0 30 1 * * *", "Europe/Lisbon", "2026-03-29T00:00:00+00:00", ["02:00:00+01:00", "01:30:00+01:00"]),
        ("0 0,30 1,2 * * *", "Europe/Lisbon", "2026-03-29T00:00:00+00:00", ["02:00:00+01:00", "02:30:00+01:00"]),
        ("0 */30 * * * *", "Europe/Lisbon", "2026-03-29T00:10:00+00:00", ["00:30:00+00:00", "02:00:00+01:00"]),
        # In Lisbon 02:00 is 01:00 on 2026-10-25.
        ("0 30 1 * * *", "Europe/Lisbon", "2026-10-24T23:10:00+00:00", ["01:30:00+01:00", "01:30:00+00:00"]),
        ("0 0,30 1 * * *", "Europe/Lisbon", "2026-10-25T01:10:00+00:00", ["01:00:00+00:00", "01:30:00+00:00"]),
        (
            "0 */30 * * * *", "Europe/Lisbon", "2026-10-25T00:10:00+00:00",
            ["01:30:00+01:00", "01:00:00+00:00", "01:30:00+00:00", "02:00:00+00:00"],
        ),
        ("0 0 */2 * * *", "Europe/Berlin", "2026-10-24T23:10:00+00:00", ["02:00:00+02:00", "04:00:00+01:00"]),
        ("@every 30m", "Europe/Lisbon", "2026-10-25T00:10:00+00:00", ["01:30:00+01:00", "01:00:00+00:00"]),
        ("0 0 12 * * *", "Pacific/Apia", "2011-12-29T22:30:00+00:00", ["00:00:00+14:00", "12:00:00+14:00"]),
    ],
)  # fmt: skip
def test_where_the_clock_is_moved(cron: str, zone: str, start: str, expected: list[str]) -> None:
    """A named time in a gap is due at its end, one that is shown twice the first time only."""
    assert expected == following(cron, zone, start, len(expected))


def test_every_is_aligned() -> None:
    """Whoever asks, and whenever, gets the same ticks: a restart neither shifts nor repeats them."""
    table = Timetable("@every 7m")
    noon = us("2026-06-01T12:00:00+00:00")
    expected = table.next_after(noon)
    assert expected is not None
    assert expected % (7 * 60 * SECOND) == 0
    for seconds in range(0, 60, 7):
        asked = expected - seconds * SECOND - 1
        assert expected == table.next_after(asked)


def test_start_and_end() -> None:
    """There is no tick before `start_at` and none after `end_at`; both may be one themselves."""
    start, end = us("2026-06-01T12:00:00+00:00"), us("2026-06-01T14:00:00+00:00")
    table = Timetable("@hourly", "UTC", start, end)
    assert start == table.next_after(0)
    assert end == table.next_after(end - 1)
    assert table.next_after(end) is None
    hour = 3600 * SECOND
    assert [end, end - hour, start] == list(table.newest(end + 10 * hour))
    assert [] == list(table.newest(start - 1))


def test_far_away_moments_end_nothing() -> None:
    """A clock that shows nonsense gets no ticks, and no error."""
    for cron in ("0 0 0 * * *", "* * * * * *"):
        table = Timetable(cron, "Europe/Lisbon")
        assert table.next_after(-(10**18)) is None
        assert table.next_after(10**18) is None
        assert [] == list(table.newest(10**18))


def test_looking_far_is_as_fast_as_looking_near() -> None:
    """The newest ticks are found from behind, so fifty years of seconds cost nothing."""
    table = Timetable("* * * * * *", "Europe/Lisbon")
    now = us("2076-01-01T00:00:00+00:00")
    newest = list(islice(table.newest(now), 3))
    assert [now, now - SECOND, now - 2 * SECOND] == newest
    assert timedelta(seconds=1) == timedelta(microseconds=newest[0] - newest[1])
