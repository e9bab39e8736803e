"""Runs over HTTP, on every database and with real tools."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

API = "/api/v0"
GREET = f"{API}/workflows/greet/executions"
NAP = f"{API}/workflows/nap/executions"


def data(response: httpx.Response, status: int = 200) -> Any:
    body = response.json()
    assert (status, status) == (response.status_code, body.get("status")), response.text
    return body["data"]


async def ended(client: httpx.AsyncClient, url: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            state = data(await client.get(url))
            if state["status"] not in {"PENDING", "RUNNING", "WAITING"}:
                return state
            await asyncio.sleep(0.02)


async def test_a_run_is_begun_and_watched(user: httpx.AsyncClient) -> None:
    """202 says where the run is; there its state, its tasks and its output can be seen."""
    response = await user.post(GREET, json={"input": {"name": "Ada"}})
    started = data(response, 202)
    assert "greet" == started["workflow_id"]
    assert response.headers["location"] == started["exec_url"]
    assert started["exec_url"] == f"{API}/executions/workflows/{started['exec_id']}"
    assert "idempotency-replayed" not in response.headers

    state = await ended(user, response.headers["location"])
    assert ("SUCCESS", {"result": {"text": "Hello, Ada!"}}) == (state["status"], state["output"])
    assert {"name": "Ada"} == state["input"]
    task = state["tasks"]["only"]
    assert ("SUCCESS", "basic", 1) == (task["status"], task["type"], task["attempt"])
    assert {} == task["children"]


async def test_a_run_is_waited_for(user: httpx.AsyncClient) -> None:
    """The state of a run that ended, well or not, is a success of the request."""
    good = data(await user.post(f"{GREET}/sync", json={"input": {"name": "Ada"}}))
    assert {"result": {"text": "Hello, Ada!"}} == good["output"] == good["workflow"]["output"]
    assert good["exec_id"] == good["workflow"]["workflow_exec_id"]

    bad = data(await user.post(f"{API}/workflows/fail/executions/sync"))
    assert ("FAILED", None) == (bad["workflow"]["status"], bad["output"])
    assert "it broke" in str(bad["workflow"]["tasks"]["only"]["error"])


async def test_a_long_run_outlives_the_wait(user: httpx.AsyncClient) -> None:
    """After `timeout` comes 408 with the state so far; the run goes on and ends."""
    wish = {"input": {"seconds": 0.5}, "timeout": 0.05}
    waiting = data(await user.post(f"{NAP}/sync", json=wish), 408)
    assert ("RUNNING", None) == (waiting["workflow"]["status"], waiting["output"])

    state = await ended(user, f"{API}/executions/workflows/{waiting['exec_id']}")
    assert {"result": {"slept": 0.5}} == state["output"]


async def test_a_run_is_cancelled(user: httpx.AsyncClient) -> None:
    """It has stopped when the answer comes; cancelling it again is a conflict."""
    started = data(await user.post(NAP, json={"input": {"seconds": 60}}), 202)
    cancel = f"{started['exec_url']}/cancel"
    assert "CANCELED" == data(await user.post(cancel))["status"]
    again = await user.post(cancel)
    assert (409, "conflict") == (again.status_code, again.json()["code"])
    missing = await user.post(f"{API}/executions/workflows/nothing/cancel")
    assert (404, "not_found") == (missing.status_code, missing.json()["code"])


async def test_the_same_request_begins_one_run(
    user: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """The same key is the same run, also at once; another request or user is another matter."""
    headers = {"idempotency-key": "order-17"}
    wish = {"input": {"name": "Ada"}}
    answers = await asyncio.gather(
        *(user.post(GREET, json=wish, headers=headers) for _ in range(5))
    )
    assert 1 == len({data(answer, 202)["exec_id"] for answer in answers})
    assert 4 == sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers)

    waited = data(await user.post(f"{GREET}/sync", json=wish, headers=headers))
    assert data(answers[0], 202)["exec_id"] == waited["exec_id"]

    other = await user.post(GREET, json={"input": {"name": "Bob"}}, headers=headers)
    assert (409, "conflict") == (other.status_code, other.json()["code"])
    theirs = data(await admin.post(GREET, json=wish, headers=headers), 202)
    assert waited["exec_id"] != theirs["exec_id"]


async def test_a_bad_idempotency_key_is_refused(user: httpx.AsyncClient) -> None:
    """A key is 1 to 255 visible ASCII characters."""
    for key in ("", "a b", "ä", "x" * 256):
        headers = [(b"idempotency-key", key.encode())]
        refused = await user.post(GREET, json={"input": {"name": "Ada"}}, headers=headers)
        assert (400, "invalid_input") == (refused.status_code, refused.json()["code"])
        assert "header.idempotency_key" == refused.json()["errors"][0]["path"]


async def test_an_input_that_does_not_fit_begins_nothing(user: httpx.AsyncClient) -> None:
    """400 names the field; no run is there afterwards."""
    response = await user.post(GREET, json={"input": {"name": 7}})
    assert (400, "invalid_input") == (response.status_code, response.json()["code"])
    assert "name" in response.json()["detail"]
    assert [] == data(await user.get(GREET))["executions"]


async def test_runs_are_listed_page_by_page(user: httpx.AsyncClient) -> None:
    """Newest first; following the Link header shows each run once, with and without filters."""
    begun = [
        data(await user.post(GREET, json={"input": {"name": str(n)}}), 202)["exec_id"]
        for n in range(5)
    ]
    other = data(await user.post(f"{API}/workflows/fail/executions/sync"))["exec_id"]
    for exec_id in begun:
        await ended(user, f"{API}/executions/workflows/{exec_id}")

    everything = [other, *reversed(begun)]
    assert everything == await walk(user, f"{API}/executions/workflows?limit=2")
    assert everything[1:] == await walk(user, f"{GREET}?limit=2")
    done = f"{API}/executions/workflows?workflow_id=greet&status=SUCCESS&limit=3"
    assert everything[1:] == await walk(user, done)
    assert [other] == await walk(user, f"{API}/executions/workflows?status=FAILED")


async def walk(client: httpx.AsyncClient, url: str | None) -> list[str]:
    """Follow the Link headers from *url* on and return the ids of the runs."""
    found = []
    while url is not None:
        response = await client.get(url)
        page = data(response)
        found += [run["workflow_exec_id"] for run in page["executions"]]
        url = response.links.get("next", {}).get("url")
        assert (url is None) == (page["page"]["next_cursor"] is None)
    return found


BAD_PAGES = [
    "limit=0",
    "limit=501",
    "limit=x",
    "limit=",
    "status=DONE",
    "status=null",
    "status=",
    "cursor=",
    "cursor=nonsense",
    "cursor=%C3%A4",
    "cursor=djI6YQ",
    "cursor=" + "a" * 600,
]


async def test_a_bad_page_is_refused(user: httpx.AsyncClient) -> None:
    """Limits are 1 to 500, cursors are ours, statuses are known."""
    for query in BAD_PAGES:
        refused = await user.get(f"{API}/executions/workflows?{query}")
        assert (400, "invalid_input") == (refused.status_code, refused.json()["code"]), query


BAD_BODIES = [
    b'{"input": {"name": "a\\u0000b"}}',
    b'{"input": {"name": "\\ud800"}}',
    b'{"input": {"name": "x", "n": 9223372036854775808}}',
    b'{"input": {"name": "x", "n": NaN}}',
    b'{"input": {"name": "x", "n": 1e400}}',
    b'{"input": {"name": "x"}, "input": {}}',
    b'{"input": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    b'{"input": []}',
    b'{"input": {"name": "x"}, "task": "y"}',
    b"[]",
    b"\xff",
    b"{",
]


async def test_what_a_database_cannot_hold_is_refused(user: httpx.AsyncClient) -> None:
    """400 on every database, before anything is stored."""
    for body in BAD_BODIES:
        refused = await user.post(GREET, content=body)
        assert (400, "invalid_input") == (refused.status_code, refused.json()["code"]), body
    assert [] == data(await user.get(GREET))["executions"]
