"""Memories over HTTP, on every database."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from appliance.language.model import Memory, MemoryCall, Project, Task, Workflow
from appliance.server.app import Application

from .conftest import Client, sample_project

pytestmark = pytest.mark.anyio

API = "/api/v0"
CHAT = f"{API}/memory/chat"
HELLO = {"role": "user", "content": "hello"}
WORLD = {"role": "assistant", "content": {"text": "wörld"}}


@pytest.fixture(scope="session")
def project() -> Project:
    """A project with memories, and with a workflow that uses one."""
    call = MemoryCall(
        "append",
        "chat",
        "user:{{ .workflow.input.user }}",
        {"role": "user", "content": "{{ .workflow.input.text }}"},
    )
    remember = Task(id="remember", type="memory", memory=call)
    memories = [
        Memory(id="chat", max_messages=5, redact_patterns=(r"\d{4}-\d{4}",), ttl=3600.0),
        Memory(id="scratch", persistent=False, type="buffer"),
    ]
    return msgspec.structs.replace(
        sample_project(),
        memories={memory.id: memory for memory in memories},
        workflows={"remember": Workflow(id="remember", tasks=(remember,))},
    )


def data(response: httpx.Response, status: int = 200) -> Any:
    body = response.json()
    assert (status, status) == (response.status_code, body.get("status")), response.text
    return body["data"]


def problem(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    return response.status_code, body["code"], body["detail"]


async def append(client: httpx.AsyncClient, *messages: Any, key: str = "k", **more: Any) -> Any:
    body = {"key": key, "messages": list(messages)}
    return data(await client.post(f"{CHAT}/append", json=body, **more))


async def read(client: httpx.AsyncClient, key: str = "k", **more: Any) -> Any:
    return data(await client.get(f"{CHAT}/read", params={"key": key, **more}))


async def test_messages_are_appended_and_read(user: httpx.AsyncClient) -> None:
    """In order, a part at a time."""
    added = await append(user, HELLO, WORLD)
    assert {"success": True, "key": "k", "appended": 2, "total_count": 2} == added
    assert {"key": "k", "messages": [HELLO, WORLD], "count": 2, "total_count": 2} == await read(
        user
    )
    part = await read(user, limit=1, offset=1)
    assert ([WORLD], 1, 2) == (part["messages"], part["count"], part["total_count"])
    assert {"key": "?", "messages": [], "count": 0, "total_count": 0} == await read(user, "?")


async def test_what_is_secret_is_not_shown(user: httpx.AsyncClient) -> None:
    """Patterns hold over HTTP as they do for tasks."""
    await append(user, {"role": "user", "content": "it is 1234-5678."})
    assert "it is [REDACTED]." == (await read(user))["messages"][0]["content"]


async def test_write_and_delete(user: httpx.AsyncClient) -> None:
    """One takes the place of what is there, the other leaves nothing."""
    await append(user, HELLO, HELLO)
    body = {"key": "k", "messages": [WORLD]}
    written = data(await user.post(f"{CHAT}/write", json=body))
    assert {"success": True, "key": "k", "count": 1} == written
    deleted = data(await user.post(f"{CHAT}/delete", json={"key": "k"}))
    assert {"success": True, "key": "k"} == deleted
    assert 0 == (await read(user))["count"]


async def test_flush(user: httpx.AsyncClient) -> None:
    """A dry run tells what the real one then does."""
    await append(user, *[HELLO] * 4)
    flush = f"{CHAT}/flush"
    dry = data(await user.post(flush, json={"key": "k", "dry_run": True}))
    assert (True, True, 4) == (dry["dry_run"], dry["would_flush"], dry["message_count"])
    wish = {"key": "k", "max_keys": 1, "strategy": "hybrid_summary"}
    real = data(await user.post(flush, json=wish))
    assert (3, "simple_fifo", None) == (
        real["message_count"],
        real["actual_strategy"],
        real["would_flush"],
    )
    forced = data(await user.post(flush, json={"key": "k", "force": True}))
    assert 1 == forced["message_count"]


async def test_clear(user: httpx.AsyncClient) -> None:
    """Only when it is confirmed; the copy is where the answer says."""
    await append(user, HELLO, WORLD)
    refused = await user.post(f"{CHAT}/clear", json={"key": "k"})
    assert (400, "invalid_input") == problem(refused)[:2]
    wish = {"key": "k", "confirm": True, "backup": True}
    cleared = data(await user.post(f"{CHAT}/clear", json=wish))
    assert (2, True) == (cleared["messages_cleared"], cleared["backup_created"])
    assert [HELLO, WORLD] == (await read(user, cleared["backup_key"]))["messages"]
    assert 0 == (await read(user))["count"]


async def test_health_and_statistics(user: httpx.AsyncClient) -> None:
    """Of a key, of a memory, of all of them."""
    await append(user, HELLO, WORLD)
    health = data(await user.get(f"{CHAT}/health", params={"key": "k"}))
    assert (True, 2) == (health["healthy"], health["message_count"])

    asked: dict[str, Any] = {
        "key": "k",
        "include_content": True,
        "group_by": "role",
        "limit": 1,
        "offset": 1,
    }
    stats = data(await user.get(f"{CHAT}/stats", params=asked))
    assert stats["token_count"] / 2 == stats["avg_tokens_per_message"]
    assert {"user": 1, "assistant": 1} == {
        role: group["message_count"] for role, group in stats["groups"].items()
    }
    assert [WORLD] == stats["messages"]

    everything = data(await user.get(f"{API}/memory/health"))
    assert (True, 2, 2, 0) == (
        everything["healthy"],
        everything["total_instances"],
        everything["healthy_instances"],
        everything["unhealthy_instances"],
    )
    one = data(await user.get(f"{API}/memory/health/chat"))
    assert one == everything["instance_health"]["chat"]
    assert ("chat", 1, 2) == (one["memory_id"], one["key_count"], one["message_count"])


async def test_keys_are_listed_page_by_page(user: httpx.AsyncClient) -> None:
    """By key, with what is under them and until when."""
    for key in ("c", "a", "bü"):
        await append(user, HELLO, key=key)
    first = await user.get(f"{CHAT}/keys", params={"limit": 2})
    assert ["a", "bü"] == [entry["key"] for entry in data(first)["keys"]]
    assert data(first)["keys"][0]["expires_at"] > data(first)["keys"][0]["written_at"]
    second = await user.get(first.links["next"]["url"])
    assert ["c"] == [entry["key"] for entry in data(second)["keys"]]
    assert data(second)["page"]["next_cursor"] is None


async def test_the_same_request_appends_once(
    user: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Also at once; another request is a conflict, another user another matter."""
    headers = {"idempotency-key": "once"}
    body = {"key": "k", "messages": [HELLO]}
    answers = await asyncio.gather(
        *(user.post(f"{CHAT}/append", json=body, headers=headers) for _ in range(5))
    )
    assert [1] * 5 == [data(answer)["total_count"] for answer in answers]
    assert 4 == sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers)
    assert 1 == (await read(user))["count"]

    other = await user.post(f"{CHAT}/append", json={**body, "key": "k2"}, headers=headers)
    assert (409, "conflict") == problem(other)[:2]
    assert 2 == (await append(admin, HELLO, headers=headers))["total_count"]


async def test_a_memory_in_process(user: httpx.AsyncClient) -> None:
    """It answers like any other."""
    scratch = f"{API}/memory/scratch"
    body = {"key": "k", "messages": [HELLO]}
    for count in (1, 2):
        assert count == data(await user.post(f"{scratch}/append", json=body))["total_count"]
    found = data(await user.get(f"{scratch}/read", params={"key": "k"}))
    assert [HELLO, HELLO] == found["messages"]


async def test_a_workflow_writes_what_the_api_reads(user: httpx.AsyncClient) -> None:
    """A task of type memory and the routes work on the same messages."""
    for text in ("first", "card 1234-5678"):
        wish = {"input": {"user": "ada", "text": text}}
        ended = data(await user.post(f"{API}/workflows/remember/executions/sync", json=wish))
        assert "SUCCESS" == ended["workflow"]["status"]
    assert {"success": True, "appended": 1, "total_count": 2, "key": "user:ada"} == (
        ended["workflow"]["tasks"]["remember"]["output"]
    )
    found = await read(user, "user:ada")
    assert ["first", "card [REDACTED]"] == [each["content"] for each in found["messages"]]


@pytest.mark.parametrize(
    ("method", "path", "sent", "expected"),
    [
        ("GET", "/memory/chatt/read?key=k", None, (404, "not_found", "did you mean 'chat'?")),
        ("GET", "/memory/nothing/keys", None, (404, "not_found", "there are chat, scratch.")),
        ("GET", "/memory/health/nothing", None, (404, "not_found", "no memory 'nothing'")),
        ("GET", "/memory/chat/read", None, (400, "invalid_input", "query parameter 'key'")),
        ("GET", "/memory/chat/read?key=k&limit=1001", None, (400, "invalid_input", "query.limit")),
        ("GET", "/memory/chat/read?key=%0A", None, (400, "invalid_input", "printable text")),
        ("GET", "/memory/chat/stats?key=k&group_by=day", None, (400, "invalid_input", "group_by is 'day'")),
        ("GET", "/memory/chat/keys?cursor=bm9uZQ", None, (400, "invalid_input", "cursor")),
        ("POST", "/memory/chat/append", {"key": "k", "messages": []}, (400, "invalid_input", "messages")),
        ("POST", "/memory/chat/append", {"key": "k", "messages": [{"role": "user"}]}, (400, "invalid_input", "content")),
        ("POST", "/memory/chat/append", {"key": "k", "messages": [{**HELLO, "role": "a b"}]}, (400, "invalid_input", "role")),
        ("POST", "/memory/chat/write", {"key": "", "messages": [HELLO]}, (400, "invalid_input", "key")),
        ("POST", "/memory/chat/flush", {"key": "k", "strategy": "x"}, (400, "invalid_input", "strategy")),
        ("POST", "/memory/chat/clear", {"key": "k", "confirm": "yes"}, (400, "invalid_input", "confirm")),
    ],
)  # fmt: skip
async def test_bad_requests(
    sqlite_app: tuple[Application, Client],
    method: str,
    path: str,
    sent: Any,
    expected: tuple[int, str, str],
) -> None:
    """Each is refused with a sentence that names what is wrong."""
    app, connect = sqlite_app
    client = connect(app.state.appliance.data.read_admin_key())
    status, code, words = expected
    found = problem(await client.request(method, API + path, json=sent))
    assert (status, code) == found[:2]
    assert words in found[2]


async def test_a_full_buffer_is_a_conflict(user: httpx.AsyncClient) -> None:
    """Nothing goes by itself there."""
    url = f"{API}/memory/scratch/append"
    data(await user.post(url, json={"key": "full", "messages": [HELLO] * 10_000}))
    status, code, detail = problem(await user.post(url, json={"key": "full", "messages": [HELLO]}))
    assert (409, "conflict") == (status, code)
    assert "Flush or clear it." in detail
