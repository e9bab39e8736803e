"""Schedules on real databases: what starts, what does not, and what a crash or a clock changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import InvalidInput, NotFound
from appliance.store import open_database
from appliance.store.database import Database
from appliance.store.schedules import KEPT_TICKS

from .timeline import SECOND, Timeline, scheduled, us

HOUR = 3600 * SECOND

Play = Callable[[Callable[[Timeline], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["memory", "postgres"])
def database_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """A migrated database of each kind; what differs between files and memory is tested below."""
    if request.param == "memory":
        return DatabaseSettings(driver="sqlite", path=":memory:")
    settings: DatabaseSettings = request.getfixturevalue("postgres_settings")
    return settings


@pytest.fixture
def play(db: Database, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Let a story happen in a world of its own, on one database after the other."""

    def run(story: Callable[[Timeline], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            world = Timeline(db, monkeypatch)
            try:
                await story(world)
            finally:
                await world.close()

        asyncio.run(whole())

    return run


@pytest.fixture
def sqlite_db(sqlite_settings: DatabaseSettings) -> Iterator[Database]:
    """A file of SQLite, for what does not differ between databases and takes its time."""
    database = open_database(sqlite_settings)
    yield database
    database.close()


def test_a_tick_starts_one_run(play: Play) -> None:
    """Once a tick has come there is one run, however often it is looked at; it says why it is."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(input={"region": "north"}))
        await world.at("12:59:59")
        assert [] == await world.runs()
        for moment in ("13:00:00", "13:00:00", "13:59:59"):
            await world.at(moment)
            assert [("13:00:00", "RUNNING")] == await world.runs()
        await world.at("14:00:00")
        assert ["13:00:00", "14:00:00"] == [tick for tick, _ in await world.runs()]
        first, _ = await world.entries()
        assert {
            "type": "schedule",
            "schedule_id": "schedule-p-job",
            "tick": "2026-06-01T13:00:00.000000Z",
        } == await world.origin(first["exec_id"])

    play(story)


def test_idle_means_idle(play: Play) -> None:
    """Looking, and starting again, write nothing when no tick has come."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(), scheduled("other", cron="@daily"))
        before = world.database.writes
        for minute in range(60):
            await world.at(us("2026-06-01T12:00:00+00:00") + minute * 60 * SECOND)
        await world.restart()
        assert before == world.database.writes

    play(story)


@pytest.mark.parametrize(
    ("policy", "ledger", "statuses"),
    [
        ("allow", ["started", "started", "started"], ["RUNNING", "RUNNING", "RUNNING"]),
        ("skip", ["started", "skipped", "skipped"], ["RUNNING"]),
        ("buffer_one", ["started", "skipped"], ["RUNNING"]),
        ("cancel_other", ["started", "started", "started"], ["CANCELED", "CANCELED", "RUNNING"]),
    ],
)
def test_overlap(play: Play, policy: Any, ledger: list[str], statuses: list[str]) -> None:
    """What becomes of a tick while the run of an earlier one goes on is what the policy says."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy=policy))
        for moment in ("13:00:00", "14:00:00", "15:00:00"):
            await world.at(moment)
        assert ledger == [outcome for _, outcome in await world.ledger()]
        assert statuses == [status for _, status in await world.runs()]

    play(story)


@pytest.mark.parametrize("policy", ["skip", "buffer_one", "cancel_other"])
def test_a_run_that_ended_holds_up_nobody(play: Play, policy: Any) -> None:
    """Every policy starts when nothing runs, before and after a restart."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy=policy))
        for moment in ("13:00:00", "14:00:00", "15:00:00"):
            await world.at(moment)
            world.bench.let_go()
            await world.until(lambda: not world.engine.active)
            await world.restart()
        assert [(f"{hour}:00:00", "SUCCESS") for hour in (13, 14, 15)] == await world.runs()

    play(story)


def test_a_run_goes_on_to_hold_up_others_after_a_restart(play: Play) -> None:
    """A new server knows which runs of a schedule have not ended."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy="skip"))
        await world.at("13:00:00")
        await world.restart()
        await world.at("14:00:00")
        assert [("13:00:00", "started"), ("14:00:00", "skipped")] == await world.ledger()
        assert "has not ended" in (await world.entries())[1]["reason"]

    play(story)


@pytest.mark.parametrize("restart", [False, True])
def test_one_start_waits(play: Play, restart: bool) -> None:
    """With buffer_one a start waits for the run before it, also across a restart; more are skipped."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy="buffer_one"))
        for moment in ("13:00:00", "14:00:00", "15:00:00"):
            await world.at(moment)
        if restart:
            await world.restart()
        assert us("2026-06-01T14:00:00+00:00") == world.scheduler.plans["job"].waiting
        await world.until(lambda: bool(world.bench.waiting))
        world.bench.let_go()
        await world.until(lambda: world.scheduler.plans["job"].waiting is None)
        assert [("13:00:00", "SUCCESS"), ("14:00:00", "RUNNING")] == await world.runs()
        expected = [("13:00:00", "started"), ("15:00:00", "skipped"), ("14:00:00", "started")]
        assert expected == await world.ledger()
        await world.at("16:00:00")
        assert us("2026-06-01T16:00:00+00:00") == world.scheduler.plans["job"].waiting

    play(story)


@pytest.mark.parametrize(
    ("catch_up", "started", "missed"),
    [
        ("none", [], "5 starts from 2026-06-01T13:00"),
        ("last", ["17:00:00"], "4 starts from 2026-06-01T13:00"),
        ("all", ["13:00:00", "14:00:00", "15:00:00", "16:00:00", "17:00:00"], None),
    ],
)
def test_catch_up(play: Play, catch_up: Any, started: list[str], missed: str | None) -> None:
    """After hours without a server, what is made up for is what the schedule says; the rest is told."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(catch_up=catch_up))
        await world.close()
        world.now_us = us("2026-06-01T17:30:00+00:00")
        await world.open(scheduled(catch_up=catch_up))
        assert started == [tick for tick, _ in await world.runs()]
        reasons = [row["reason"] for row in await world.entries() if row["outcome"] == "missed"]
        assert (missed is not None) == bool(reasons)
        assert all(reason.startswith(str(missed)) for reason in reasons)
        await world.at("18:00:00")
        assert [*started, "18:00:00"] == [tick for tick, _ in await world.runs()]

    play(story)


def test_catching_up_has_a_bound(play: Play) -> None:
    """Even `all` makes up for the newest hundred only."""

    async def story(world: Timeline) -> None:
        every_minute = scheduled(cron="0 * * * * *", catch_up="all")
        await world.open(every_minute)
        await world.close()
        world.now_us = us("2026-06-01T17:30:30+00:00")
        await world.open(every_minute)
        runs = await world.runs()
        assert 101 == len(runs)  # the one half a minute ago is in time
        assert ("15:50:00", "17:30:00") == (runs[0][0], runs[-1][0])
        missed = (await world.entries())[0]
        assert "missed" == missed["outcome"]
        assert missed["reason"].startswith("more than 100 starts were missed, the newest at 2026-")

    play(story)


def test_late_is_not_missed(play: Play) -> None:
    """What comes within a minute counts, whatever the policy, each tick in its turn."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(cron="*/10 * * * * *", catch_up="none"))
        await world.at("12:00:45")
        expected = ["12:00:10", "12:00:20", "12:00:30", "12:00:40"]
        assert expected == [tick for tick, _ in await world.runs()]

    play(story)


@pytest.mark.parametrize("point", range(4))
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("policy", ["allow", "skip", "buffer_one", "cancel_other"])
def test_a_crash_at_any_point(play: Play, point: int, ended: bool, policy: Any) -> None:
    """Wherever it is cut off, each tick starts its run once and is in the ledger once."""

    async def story(world: Timeline) -> None:
        workflow = scheduled(overlap_policy=policy, catch_up="all")
        await world.open(workflow)
        world.bench.patient = not ended
        world.database.fails_from = world.database.writes + point
        for moment in ("13:00:00", "14:00:00", "15:00:00"):
            await world.at(moment)
            if ended:
                await world.until(lambda: not world.engine.active)
        await world.close()
        world.database.fails_from = world.database.writes + 1000
        await world.open(workflow)
        await world.at("15:30:00")
        if policy == "buffer_one":
            world.bench.patient = False
            world.bench.let_go()
            await world.until(lambda: world.scheduler.plans["job"].waiting is None)
        ticks = [tick for tick, _ in await world.runs()]
        ledger = dict(await world.ledger())
        assert len(ledger) == len(await world.ledger())
        assert ["13:00:00", "14:00:00", "15:00:00"] == sorted(ledger)
        assert ticks == sorted(tick for tick, outcome in ledger.items() if outcome == "started")
        if policy in ("allow", "cancel_other"):
            assert ["13:00:00", "14:00:00", "15:00:00"] == ticks

    play(story)


def test_a_crash_before_the_ledger_is_no_missed_start(play: Play) -> None:
    """A run whose entry a crash kept out of the ledger is found, also when nothing is made up for."""

    async def story(world: Timeline) -> None:
        workflow = scheduled(catch_up="none")
        await world.open(workflow)
        world.database.fails_from = world.database.writes
        await world.at("13:00:00")
        assert [] == await world.ledger()
        await world.close()
        world.database.fails_from = world.database.writes + 1000
        world.now_us = us("2026-06-01T16:30:00+00:00")
        await world.open(workflow)
        assert [("13:00:00", "started"), ("16:00:00", "missed")] == await world.ledger()
        assert [("13:00:00", "RUNNING")] == await world.runs()

    play(story)


def test_a_database_that_is_away_delays(play: Play) -> None:
    """A tick that could not be stored is tried again, and then starts once."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy="skip"))
        world.database.fails_from = world.database.writes
        await world.at("13:00:00")
        await world.at("13:00:06")
        world.database.fails_from = world.database.writes + 1000
        await world.at("13:00:12")
        assert [("13:00:00", "started")] == await world.ledger()
        assert [("13:00:00", "RUNNING")] == await world.runs()

    play(story)


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
def test_fifty_years_in_a_second(play: Play, catch_up: Any) -> None:
    """A clock that is set forward by fifty years costs no fifty years of starts, and no time."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(cron="* * * * * *", catch_up=catch_up, timezone="Europe/Lisbon"))
        begun = time.perf_counter()
        await world.at("2076-06-01T12:00:00+00:00")
        assert time.perf_counter() - begun < 5
        in_time = 60
        assert in_time + (100 if catch_up == "all" else 0) == len(await world.runs())
        missed = (await world.entries())[0]
        assert ("missed", True) == (missed["outcome"], "starts were missed" in missed["reason"])

    play(story)


def test_a_clock_that_is_put_back(play: Play) -> None:
    """No tick starts twice, none that is yet to come is left out."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy="skip"))
        for moment in ("13:00:00", "12:30:00", "13:00:00", "13:00:01"):
            await world.at(moment)
        world.bench.let_go()
        await world.until(lambda: not world.engine.active)
        world.bench.patient = False
        for moment in ("14:00:00", "12:30:00", "13:00:00", "14:00:00", "15:00:00"):
            await world.at(moment)
            await world.until(lambda: not world.engine.active)
        assert ["13:00:00", "14:00:00", "15:00:00"] == [tick for tick, _ in await world.runs()]
        started = [tick for tick, outcome in await world.ledger() if outcome == "started"]
        assert ["13:00:00", "14:00:00", "15:00:00"] == started

    play(story)


@pytest.mark.parametrize("restart", [False, True])
def test_a_wrong_clock_earlier(play: Play, restart: bool) -> None:
    """Ticks of a far future that never was do not keep a schedule from today's."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled())
        await world.at("2076-06-01T13:00:00+00:00")
        if restart:
            await world.close()
            world.now_us = us("2026-06-01T12:10:00+00:00")
            await world.open(scheduled())
        else:
            await world.at("12:10:00")
        await world.at("13:00:00")
        await world.restart()
        await world.at("14:00:00")
        today = [tick for tick, _ in await world.runs() if len(tick) == 8]
        assert ["13:00:00", "14:00:00"] == today

    play(story)


def test_a_clock_that_was_never_set(play: Play) -> None:
    """A machine that starts in 1970 waits for its clock, and then makes up for what it missed."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled())
        await world.close()
        world.now_us = 30 * SECOND
        await world.open(scheduled(), scheduled("fresh"))
        await world.at(HOUR)
        await world.at(2 * HOUR)
        assert [] == await world.runs()
        await world.at("15:30:00")
        assert [("15:00:00", "RUNNING")] == await world.runs()
        assert [] == await world.runs("fresh")
        await world.at("16:00:00")
        assert [("16:00:00", "RUNNING")] == await world.runs("fresh")

    play(story)


def test_another_timetable_begins_anew(play: Play) -> None:
    """A schedule that was changed, paused or away meanwhile makes up for nothing of that time."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(), scheduled("paused", enabled=False), scheduled("away"))
        await world.close()
        world.now_us = us("2026-06-01T15:30:00+00:00")
        await world.open(scheduled(cron="0 */10 * * * *"), scheduled("paused", enabled=True))
        assert [] == await world.runs() + await world.runs("paused")
        world.now_us = us("2026-06-01T16:30:00+00:00")
        await world.restart(scheduled("away"))
        assert [] == await world.runs("away")
        await world.at("17:00:00")
        assert [("17:00:00", "RUNNING")] == await world.runs("away")

    play(story)


def test_what_cannot_start_says_why(play: Play) -> None:
    """An input that the workflow refuses is an entry of the ledger, and the next tick comes."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(input={"region": 7}))
        await world.at("13:00:00")
        await world.at("14:00:00")
        assert ["failed", "failed"] == [outcome for _, outcome in await world.ledger()]
        assert "region" in (await world.entries())[0]["reason"]
        assert [] == await world.runs()
        with pytest.raises(InvalidInput, match="region"):
            await world.scheduler.trigger("job")

    play(story)


def test_jitter(play: Play) -> None:
    """A start is delayed by less than the jitter, each time the same, and never to the next tick."""

    async def story(world: Timeline) -> None:
        await world.open(*(scheduled(f"job-{n}", jitter=1800.0) for n in range(20)))
        plans = world.scheduler.plans.values()
        delays = [(plan.wake_at or 0) - us("2026-06-01T13:00:00+00:00") for plan in plans]
        assert all(0 <= delay < 1800 * SECOND for delay in delays)
        assert 15 < len(set(delays))
        await world.restart()
        plans = world.scheduler.plans.values()
        assert delays == [(plan.wake_at or 0) - us("2026-06-01T13:00:00+00:00") for plan in plans]
        await world.at(us("2026-06-01T13:00:00+00:00") + sorted(delays)[9])
        assert 10 == world.scheduler.ticks.counts["started"]
        await world.at("13:59:59")
        assert 20 == world.scheduler.ticks.counts["started"]
        await world.restart(scheduled(cron="* * * * * *", jitter=3600.0, catch_up="none"))
        await world.at("14:00:30")
        assert 29 <= len(await world.runs()) <= 31

    play(story)


def test_start_and_end(play: Play) -> None:
    """Nothing starts before `start_at` or after `end_at`."""

    async def story(world: Timeline) -> None:
        start, end = us("2026-06-01T14:00:00+00:00"), us("2026-06-01T15:00:00+00:00")
        await world.open(scheduled(start_at=start, end_at=end))
        for hour in range(13, 18):
            await world.at(f"{hour}:00:00")
        assert ["14:00:00", "15:00:00"] == [tick for tick, _ in await world.runs()]
        assert world.scheduler.plans["job"].next_start() is None

    play(story)


def test_started_by_hand(play: Play) -> None:
    """A start by hand is at once, is in the ledger, moves no tick and counts as a run before it."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy="skip"))
        await world.at("12:30:00")
        exec_id = await world.scheduler.trigger("job", started_by="somebody")
        assert (await world.origin(exec_id))["triggered"] is True
        await world.at("13:00:00")
        outcomes = [(row["outcome"], row["exec_id"]) for row in await world.entries()]
        assert [("started", exec_id), ("skipped", None)] == outcomes
        with pytest.raises(NotFound, match="there is no workflow 'nobody'"):
            await world.scheduler.trigger("nobody")

    play(story)


def test_without_resuming_nothing_starts(play: Play) -> None:
    """A command on the data of a stopped server starts nothing by itself; by hand it can."""

    async def story(world: Timeline) -> None:
        await world.open(scheduled(overlap_policy="buffer_one"))
        await world.close()
        world.now_us = us("2026-06-01T15:00:00+00:00")
        await world.open(scheduled(overlap_policy="buffer_one"), resume=False)
        assert [] == await world.runs()
        await world.scheduler.trigger("job")
        assert ["started"] == [outcome for _, outcome in await world.ledger()]

    play(story)


def test_the_ledger_is_bounded(sqlite_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a schedule lives, its ledger keeps the newest entries only."""

    async def story() -> None:
        world = Timeline(sqlite_db, monkeypatch)
        world.bench.patient = False
        await world.open(scheduled(cron="* * * * * *"))
        for seconds in range(0, KEPT_TICKS + 100, 50):
            await world.at(us("2026-06-01T12:00:00+00:00") + seconds * SECOND)
        entries = await world.entries()
        await world.close()
        assert KEPT_TICKS == len(entries)
        assert KEPT_TICKS + 50 == entries[-1]["number"]

    asyncio.run(story())


def test_many_at_once(sqlite_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all schedules are due in the same second, each starts and others are still served."""
    amount = 500
    gaps = []

    async def heartbeat() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - before)

    async def story() -> None:
        world = Timeline(sqlite_db, monkeypatch)
        world.bench.patient = False
        await world.open(*(scheduled(f"job-{n}", overlap_policy="skip") for n in range(amount)))
        pulse = asyncio.create_task(heartbeat())
        begun = time.perf_counter()
        await world.at("13:00:00")
        seconds = time.perf_counter() - begun
        pulse.cancel()
        print(f"\n{amount} starts in {seconds:.1f} s, longest gap {max(gaps) * 1000:.0f} ms")
        await world.until(lambda: not world.engine.active)
        assert amount == world.scheduler.ticks.counts["started"]
        assert amount == world.engine.counts["SUCCESS"]
        await world.close()

    asyncio.run(story())
    assert max(gaps) < 0.5


def test_the_loop_wakes_by_itself(sqlite_db: Database) -> None:
    """On a clock that nobody moves by hand, a tick starts its run within its second."""

    async def story() -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            world = Timeline(sqlite_db, monkeypatch)
            monkeypatch.undo()
            await world.open(scheduled(cron="* * * * * *"))
            await world.until(lambda: world.scheduler.ticks.counts["started"] == 1)
            row = (await world.entries())[0]
            await world.close()
        assert 0 <= row["at"] - row["tick"] < SECOND

    asyncio.run(story())
