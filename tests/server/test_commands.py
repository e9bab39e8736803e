"""Commands to runs over HTTP, tasks that are run by themselves, and what listings can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.config import DatabaseSettings

from .conftest import settings_for
from .streaming import API, RUNS, Server

pytestmark = pytest.mark.anyio

ANSWER = {"signal_name": "answered", "payload": {"by": "Ada"}}


@pytest.fixture
async def server(database_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(settings_for(database_settings, tmp_path))
    await made.start()
    yield made
    await made.stop()


async def audited(server: Server) -> list[tuple[str, str]]:
    entries = (await server.http.get(f"{API}/audit")).json()["data"]["entries"]
    runs = [entry for entry in entries if entry["action"].startswith("run.")]
    return [(entry["action"], entry["subject"]) for entry in reversed(runs)]


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


# -- commands --------------------------------------------------------------------------------------


async def test_a_run_is_paused_and_goes_on(server: Server, tmp_path: Path) -> None:
    """While it is paused what is under way ends and nothing begins; who did it is written down."""
    gate = tmp_path / "gate"
    exec_id = await server.begin("hold", path=str(gate))
    status, paused = await server.command(exec_id, "pause")
    assert (200, "PAUSED") == (status, paused["data"]["status"])
    gate.touch()
    async with asyncio.timeout(20):
        while (await server.state(exec_id))["tasks"]["first"]["status"] != "SUCCESS":
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    state = await server.state(exec_id)
    assert "PAUSED" == state["status"]
    assert "second" not in state["tasks"] or state["tasks"]["second"]["status"] == "PENDING"

    assert 200 == (await server.command(exec_id, "resume"))[0]
    assert {"n": 2} == (await server.reaches(exec_id, "SUCCESS"))["tasks"]["second"]["output"]
    assert [("run.paused", exec_id), ("run.resumed", exec_id)] == await audited(server)


async def test_a_run_is_retried_from_where_it_failed(server: Server, tmp_path: Path) -> None:
    """What succeeded is not done again; the failure stays in the history."""
    exec_id = await server.begin("stubborn", path=str(tmp_path / "gate"))
    failed = await server.reaches(exec_id, "FAILED")
    assert ["RUNNING", "FAILED"] == [m["status"] for m in failed["tasks"]["second"]["history"]]
    (tmp_path / "gate").touch()
    assert 200 == (await server.command(exec_id, "retry"))[0]
    state = await server.reaches(exec_id, "SUCCESS")
    assert failed["tasks"]["first"] == state["tasks"]["first"]
    assert 2 == state["tasks"]["second"]["attempt"]
    assert {"FAILED", "SUCCESS"} <= {m["status"] for m in state["tasks"]["second"]["history"]}
    assert (409, "conflict") == refused(await server.command(exec_id, "retry"))
    assert [("run.retried", exec_id)] == await audited(server)


async def test_a_run_is_run_again(server: Server) -> None:
    """The same input, a new run that says of which one it is the repetition; once for each key."""
    exec_id = await server.begin("steps", count=2)
    await server.reaches(exec_id, "SUCCESS")
    key = {"idempotency-key": "again"}
    status, begun = await server.command(exec_id, "rerun", **key)
    again = begun["data"]["exec_id"]
    assert (202, f"{RUNS}/{again}") == (status, begun["data"]["exec_url"])
    assert again != exec_id
    assert again == (await server.command(exec_id, "rerun", **key))[1]["data"]["exec_id"]
    assert (409, "conflict") == refused(await server.command(again, "rerun", **key))
    state = await server.reaches(again, "SUCCESS")
    assert {"type": "rerun", "of": exec_id} == state["origin"]
    assert {"seconds": 0, "count": 2} == state["input"]


async def test_a_signal_reaches_a_run_once(server: Server) -> None:
    """It says whether a task took it; sent again under the same key it changes nothing."""
    exec_id = await server.begin("approval")
    await server.reaches(exec_id, "WAITING")
    other = {"signal_name": "other"}
    status, kept = await server.command(exec_id, "signals", other)
    assert (200, False) == (status, kept["data"]["delivered"])
    key = {"idempotency-key": "s-1"}
    status, given = await server.command(exec_id, "signals", ANSWER, **key)
    assert (200, True) == (status, given["data"]["delivered"])
    state = await server.reaches(exec_id, "SUCCESS")
    assert {"by": "Ada"} == state["output"]
    assert (409, "conflict") == refused(await server.command(exec_id, "signals", ANSWER))


async def test_a_signal_has_a_name(server: Server) -> None:
    """400 without one, whatever else is said."""
    exec_id = await server.begin("approval")
    for body in ({}, {"signal_name": ""}, {"signal_name": 7}, None, {"name": "x"}):
        answer = await server.command(exec_id, "signals", body)
        assert (400, "invalid_input") == refused(answer), body


async def test_commands_need_a_run_that_can_take_them(server: Server) -> None:
    """404 where there is none, 409 where it has ended or is not in the state for it."""
    for command in ("cancel", "pause", "resume", "retry", "rerun", "signals"):
        body = ANSWER if command == "signals" else None
        assert (404, "not_found") == refused(await server.command("nothing", command, body))
    exec_id = await server.begin("steps")
    await server.reaches(exec_id, "SUCCESS")
    for command in ("cancel", "pause", "resume", "retry", "signals"):
        body = ANSWER if command == "signals" else None
        assert (409, "conflict") == refused(await server.command(exec_id, command, body))
    waiting = await server.begin("approval")
    await server.reaches(waiting, "WAITING")
    assert (409, "conflict") == refused(await server.command(waiting, "resume"))
    assert (409, "conflict") == refused(await server.command(waiting, "retry"))
    assert 200 == (await server.command(waiting, "cancel"))[0]
    assert [("run.canceled", waiting)] == await audited(server)


async def test_a_run_can_begin_with_another_task(server: Server) -> None:
    """`task_id` names it; one that is not there is 404 and says what is."""
    url = f"{API}/workflows/hold/executions"
    begun = await server.http.post(f"{url}/sync", json={"task_id": "second"})
    run = begun.json()["data"]["workflow"]
    assert ("SUCCESS", ["second"]) == (run["status"], list(run["tasks"]))
    assert {"type": "api", "task_id": "second"} == run["origin"]
    wrong = await server.http.post(url, json={"task_id": "third"})
    assert (404, "not_found") == (wrong.status_code, wrong.json()["code"])
    assert "first, second" in wrong.json()["detail"]
    again = await server.command(run["workflow_exec_id"], "rerun")
    state = await server.reaches(again[1]["data"]["exec_id"], "SUCCESS")
    assert ["second"] == list(state["tasks"])


async def test_a_key_is_for_one_request(server: Server) -> None:
    """Where the run begins is a part of the request."""
    url, key = f"{API}/workflows/hold/executions", {"idempotency-key": "k"}
    wish = {"task_id": "second"}
    first = await server.http.post(url, json=wish, headers=key)
    same = await server.http.post(url, json=wish, headers=key)
    assert first.json()["data"] == same.json()["data"]
    other = await server.http.post(url, json={}, headers=key)
    assert (409, "conflict") == (other.status_code, other.json()["code"])


async def test_groups_say_how_far_they_are(server: Server) -> None:
    """`progress_info` counts the children by state; a task without children has none."""
    exec_id = await server.begin("steps", count=4)
    group = (await server.reaches(exec_id, "SUCCESS"))["tasks"]["each"]
    progress = group["progress_info"]
    assert (4, 4, 0) == tuple(
        progress[name] for name in ("total_children", "success_count", "failed_count")
    )
    assert (1.0, 0.0) == (progress["completion_rate"], progress["failure_rate"])
    assert {None} == {child["progress_info"] for child in group["children"].values()}


# -- tasks by themselves ---------------------------------------------------------------------------


async def test_a_task_is_run_by_itself(server: Server) -> None:
    """What is given goes on top of what the file says; the state is at the address in `Location`."""
    url, wish = f"{API}/tasks/double/executions", {"with": {"number": 21}}
    begun = await server.http.post(url, json=wish)
    exec_id = begun.json()["data"]["exec_id"]
    assert (202, f"{API}/executions/tasks/{exec_id}") == (
        begun.status_code,
        begun.headers["location"],
    )
    await server.reaches(exec_id, "SUCCESS")
    found = (await server.http.get(begun.headers["location"])).json()["data"]
    assert ("double", "SUCCESS", {"number": 42}) == tuple(
        found[name] for name in ("task_id", "status", "output")
    )
    assert {"number": 21, "by": 2} == found["input"]

    waited = (await server.http.post(f"{url}/sync", json=wish)).json()["data"]
    assert ({"number": 42}, None) == (waited["output"], waited["state"])
    shown = await server.http.post(f"{url}/sync", json=wish, params={"include": "state"})
    assert "SUCCESS" == shown.json()["data"]["state"]["status"]
    again = await server.command(exec_id, "rerun")
    await server.reaches(again[1]["data"]["exec_id"], "SUCCESS")


async def test_a_task_that_takes_long_goes_on(server: Server) -> None:
    """408 with its state when the time is over."""
    wish = {"with": {"seconds": 0.3}, "timeout": 0.05}
    late = await server.http.post(f"{API}/tasks/nap/executions/sync", json=wish)
    assert (408, "RUNNING") == (late.status_code, late.json()["data"]["state"]["status"])
    await server.reaches(late.json()["data"]["exec_id"], "SUCCESS")


async def test_what_is_no_task_is_refused(server: Server) -> None:
    """404 for an unknown task and for a run that is no task's."""
    unknown = await server.http.post(f"{API}/tasks/nobody/executions", json={})
    assert (404, "not_found") == (unknown.status_code, unknown.json()["code"])
    assert "double, nap" in unknown.json()["detail"]
    exec_id = await server.begin("steps")
    wrong = await server.http.get(f"{API}/executions/tasks/{exec_id}")
    assert (404, "not_found") == (wrong.status_code, wrong.json()["code"])


# -- listings --------------------------------------------------------------------------------------


async def listed(server: Server, path: str = RUNS, **query: Any) -> list[str]:
    found = await server.http.get(path, params=query)
    assert 200 == found.status_code, found.text
    return [run["workflow_exec_id"] for run in found.json()["data"]["executions"]]


async def test_runs_are_listed_by_time_and_state(server: Server) -> None:
    """`since` is included, `until` is not; several states are one filter; pages keep them."""
    first = await server.begin("steps")
    await asyncio.sleep(0.005)
    middle = clock.to_rfc3339(clock.now_us())
    await asyncio.sleep(0.005)
    second, third = await server.begin("approval"), await server.begin("steps")
    await server.reaches(second, "WAITING")
    for exec_id in (first, third):
        await server.reaches(exec_id, "SUCCESS")

    assert [third, second] == await listed(server, since=middle)
    assert [first] == await listed(server, until=middle)
    assert [third] == await listed(server, since=middle, workflow_id="steps")
    assert [third] == await listed(server, f"{API}/workflows/steps/executions", since=middle)
    begun = (await server.state(second))["created_at"]
    assert second in await listed(server, since=begun)
    assert [] == await listed(server, since=middle, until=middle)
    assert [third, second, first] == await listed(server, status="SUCCESS,WAITING")
    assert [third, first] == await listed(server, status="SUCCESS,FAILED")

    page = (await server.http.get(RUNS, params={"since": middle, "limit": 1})).json()["data"]
    assert [third] == [run["workflow_exec_id"] for run in page["executions"]]
    cursor = page["page"]["next_cursor"]
    assert [second] == await listed(server, since=middle, limit=5, cursor=cursor)


async def test_a_filter_that_means_nothing_is_refused(server: Server) -> None:
    """It is not taken for no filter."""
    wrong = (
        ("since", "yesterday"),
        ("until", "2026-01-31"),
        ("status", "SUCCESS,"),
        ("status", "DONE"),
    )
    for name, value in wrong:
        answer = await server.http.get(RUNS, params={name: value})
        assert (400, "invalid_input") == (answer.status_code, answer.json()["code"]), value
