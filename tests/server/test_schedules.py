"""Schedules over HTTP, on every database: look, change, pause, trigger, and what is remembered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from appliance import clock
from appliance.config import DatabaseSettings
from appliance.language.model import Project, Schedule
from appliance.operations import schedules
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance

from .conftest import sample_project, settings_for

pytestmark = pytest.mark.anyio

API = "/api/v0"
GREET = f"{API}/schedules/greet"


@pytest.fixture(scope="session")
def project() -> Project:
    """The sample: `greet` each year, `fail` never by itself though it could, `nap` without."""
    sample = sample_project()
    yearly = Schedule(cron="@yearly", timezone="Europe/Lisbon", input={"name": "Ada"})
    found = {"greet": yearly, "fail": Schedule(cron="@daily", enabled=False), "nap": None}
    workflows = {
        name: msgspec.structs.replace(workflow, schedule=found[name])
        for name, workflow in sample.workflows.items()
    }
    return msgspec.structs.replace(sample, workflows=workflows)


async def data(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()["data"]


async def test_a_schedule_is_shown(user: httpx.AsyncClient) -> None:
    """All there is to know, by workflow, in pages; a workflow without a schedule has none."""
    page = await data(await user.get(f"{API}/schedules?limit=1"))
    rest = await data(
        await user.get(f"{API}/schedules", params={"cursor": page["page"]["next_cursor"]})
    )
    assert ["fail", "greet"] == [
        item["workflow_id"] for item in (*page["schedules"], *rest["schedules"])
    ]
    assert page["schedules"][0]["next_run_time"] is None
    item = await data(await user.get(GREET))
    assert item == rest["schedules"][0]
    year = int(str(clock.to_rfc3339(clock.now_us()))[:4]) + 1
    assert {
        "workflow_id": "greet",
        "schedule_id": "schedule-test-greet",
        "cron": "@yearly",
        "timezone": "Europe/Lisbon",
        "enabled": True,
        "is_override": False,
        "overlap_policy": "skip",
        "catch_up": "last",
        "jitter": 0.0,
        "start_at": None,
        "end_at": None,
        "input": {"name": "Ada"},
        "yaml_config": {"cron": "@yearly", "timezone": "Europe/Lisbon", "enabled": True},
        "next_run_time": f"{year}-01-01T00:00:00.000000Z",
        "last_run_time": None,
        "last_run_status": None,
        "last_exec_id": None,
        "waiting_tick": None,
        "changed_by": None,
        "changed_at": None,
    } == item
    for path in ("nap", "nobody"):
        assert 404 == (await user.get(f"{API}/schedules/{path}")).status_code
    assert 400 == (await user.get(f"{GREET}/ticks?cursor=djE6eA")).status_code


async def test_a_change_counts_until_it_is_reset(
    user: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """What is changed counts at once, and is in the audit log; a reset brings the project's back."""
    change = {"cron": "0 30 6 * * 1-5", "timezone": "America/New_York"}
    item = await data(await user.patch(GREET, json=change))
    assert item | change | {"is_override": True, "enabled": True} == item
    changed_by = item["changed_by"]
    item = await data(await user.patch(GREET, json={"enabled": False}))
    assert (False, "0 30 6 * * 1-5", None) == (
        item["enabled"], item["cron"], item["next_run_time"],
    )  # fmt: skip
    assert 204 == (await user.delete(GREET)).status_code
    item = await data(await user.get(GREET))
    assert ("@yearly", False, None) == (item["cron"], item["is_override"], item["changed_by"])
    assert 204 == (await user.delete(GREET)).status_code
    log = (await data(await admin.get(f"{API}/audit")))["entries"]
    told = [entry for entry in log if entry["action"] == "schedule.changed"]
    assert [{"enabled": False}, change] == [entry["details"] for entry in told]
    assert {(changed_by, "ada@example.com")} == {
        (entry["actor"], entry["actor_email"]) for entry in told
    }
    assert 1 == len([entry for entry in log if entry["action"] == "schedule.reset"])


async def test_a_wrong_change_changes_nothing(user: httpx.AsyncClient) -> None:
    """The answer names what is wrong; the schedule is as it was."""
    before = await data(await user.get(GREET))
    for name, value, said in (
        ("cron", "0 99 * * *", "the hour '99' is not valid"),
        ("timezone", "Mars/Base", "timezone 'Mars/Base' is not known"),
        ("cron", "", "cron"),
        ("cron", "@every 0s", "at least 1s"),
        ("colour", "red", "colour"),
        ("enabled", "no", "enabled"),
    ):
        answer = await user.patch(GREET, json={name: value})
        assert 400 == answer.status_code, (name, value)
        assert said in answer.text
        assert before == await data(await user.get(GREET))


async def test_pause_and_resume(user: httpx.AsyncClient) -> None:
    """A paused schedule has no next run; resuming one that the project has on leaves no trace."""
    assert (await data(await user.post(f"{GREET}/pause")))["next_run_time"] is None
    assert (await data(await user.get(GREET)))["is_override"]
    item = await data(await user.post(f"{GREET}/resume"))
    assert (True, False) == (item["next_run_time"] is not None, item["is_override"])
    item = await data(await user.post(f"{API}/schedules/fail/resume"))
    assert (True, True) == (item["next_run_time"] is not None, item["is_override"])


async def test_a_run_by_hand(user: httpx.AsyncClient) -> None:
    """It starts with the input of the schedule, answers like any start, and is in the ledger."""
    answer = await user.post(f"{GREET}/trigger")
    started = await data(answer)
    assert (202, started["exec_url"]) == (answer.status_code, answer.headers["location"])
    again = await data(await user.post(f"{GREET}/trigger"))
    state: Any = {}
    async with asyncio.timeout(20):
        while state.get("status") not in ("SUCCESS", "FAILED"):
            await asyncio.sleep(0.01)  # an answer from SQLite may come without a pause for others
            state = await data(await user.get(started["exec_url"]))
    assert ("SUCCESS", {"name": "Ada"}) == (state["status"], state["input"])
    assert ("schedule", True) == (state["origin"]["type"], state["origin"]["triggered"])
    ids = [again["exec_id"], started["exec_id"]]
    ticks = (await data(await user.get(f"{GREET}/ticks")))["ticks"]
    assert [("started", exec_id) for exec_id in ids] == [
        (tick["outcome"], tick["exec_id"]) for tick in ticks
    ]
    page = await data(await user.get(f"{GREET}/ticks?limit=1"))
    rest = await data(await user.get(f"{GREET}/ticks?cursor={page['page']['next_cursor']}"))
    assert ticks == page["ticks"] + rest["ticks"]
    assert ids[0] == (await data(await user.get(GREET)))["last_exec_id"]
    assert "compozy_schedule_ticks_total" in (await user.get("/metrics")).text


async def test_a_change_survives_a_restart(
    database_settings: DatabaseSettings, tmp_path: Path, project: Project
) -> None:
    """What was changed over the API is there when the server is."""
    settings = settings_for(database_settings, tmp_path)
    async with Appliance.open(settings, project) as first:
        await schedules.change_schedule(first, SYSTEM, "greet", cron="@hourly", enabled=False)
    async with Appliance.open(settings, project) as second:
        item = await schedules.get_schedule(second, "greet")
        assert ("@hourly", False, True) == (item["cron"], item["enabled"], item["is_override"])
        assert second.scheduler.plans["greet"].next_start() is None
        assert (await second.ready()).checks["schedules"]["ok"]
