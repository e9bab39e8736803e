"""Events over HTTP, on every database: who is started, who is not and why, and that it happens once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from appliance.language.model import Project, Trigger

from .conftest import sample_project

pytestmark = pytest.mark.anyio

API = "/api/v0"
EVENTS = f"{API}/events"
LONG_NAMES = {"type": "object", "properties": {"name": {"type": "string", "minLength": 4}}}


@pytest.fixture(scope="session")
def project() -> Project:
    """The sample: `greet` and `fail` listen to `guest.came`, `greet` to long names only."""
    sample = sample_project()
    listening = {
        "greet": (Trigger(type="signal", name="guest.came", schema=LONG_NAMES),),
        "fail": (Trigger(type="signal", name="guest.came"),),
        "nap": (Trigger(type="signal", name="tired"),),
    }
    workflows = {
        name: msgspec.structs.replace(workflow, triggers=listening[name])
        for name, workflow in sample.workflows.items()
    }
    return msgspec.structs.replace(sample, workflows=workflows)


async def send(client: httpx.AsyncClient, name: str, key: str = "", /, **payload: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    answer = await client.post(EVENTS, json={"name": name, "payload": payload}, headers=headers)
    assert 202 == answer.status_code == answer.json()["status"], answer.text
    return answer.json()


def started(answer: Any) -> dict[str, str]:
    return {run["workflow_id"]: run["exec_id"] for run in answer["data"]["executions"]}


async def count(client: httpx.AsyncClient) -> int:
    return len((await client.get(f"{API}/executions/workflows")).json()["data"]["executions"])


async def test_everybody_who_listens_is_started(user: httpx.AsyncClient) -> None:
    """The payload is the input, and each run says which event it comes from."""
    answer = await send(user, "guest.came", name="Grace")
    assert {"greet", "fail"} == set(started(answer))
    assert [] == answer["data"]["refused"]
    for run in answer["data"]["executions"]:
        state = (await user.get(run["exec_url"])).json()["data"]
        assert {"name": "Grace"} == state["input"]
        event_id = answer["data"]["event_id"]
        origin = {"type": "event", "event": "guest.came", "event_id": event_id}
        assert origin == state["origin"]
        assert state["started_by"]


async def test_nobody_has_to_listen(user: httpx.AsyncClient) -> None:
    """An event of an unknown name is accepted, starts nothing and says so."""
    answer = await send(user, "guest.left", name="Grace")
    assert ([], []) == (answer["data"]["executions"], answer["data"]["refused"])
    assert "no workflow listens to 'guest.left'" in answer["message"]
    assert answer["data"]["event_id"]
    assert 0 == await count(user)


async def test_who_is_not_started_says_why(user: httpx.AsyncClient) -> None:
    """The schema of the trigger, or that of the workflow, refuses; others start all the same."""
    answer = await send(user, "guest.came", name="Ada")
    assert ["fail"] == list(started(answer))
    [refused] = answer["data"]["refused"]
    assert "greet" == refused["workflow_id"]
    assert "name" in refused["reason"]
    nap = await send(user, "tired", seconds="many")
    assert ["nap"] == [one["workflow_id"] for one in nap["data"]["refused"]]
    assert 1 == await count(user)


async def test_the_same_key_is_the_same_event(
    user: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """It starts each workflow once, also at once; another key or user is another event."""
    answers = await asyncio.gather(
        *(send(user, "guest.came", "k-1", name="Grace") for _ in range(5))
    )
    assert 1 == len({answer["data"]["event_id"] for answer in answers})
    assert 1 == len({tuple(sorted(started(answer).items())) for answer in answers})
    assert 2 == await count(user)
    for client, key in ((user, "k-2"), (admin, "k-1"), (user, ""), (user, "")):
        other = await send(client, "guest.came", key, name="Grace")
        assert answers[0]["data"]["event_id"] != other["data"]["event_id"]
    assert 10 == await count(user)


async def test_what_is_no_event_is_refused(user: httpx.AsyncClient) -> None:
    """400 and a sentence."""
    names = [{}, {"name": ""}, {"name": "x" * 256}, {"name": 1}]
    for body in (*names, {"name": "x", "payload": []}, {"name": "x", "more": 1}):
        answer = await user.post(EVENTS, json=body)
        assert (400, "invalid_input") == (answer.status_code, answer.json()["code"]), body
