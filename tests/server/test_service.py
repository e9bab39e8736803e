"""Workflows, backups, health and errors over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.config import DatabaseSettings, ServerSettings, Settings
from appliance.language.model import Project
from appliance.operations.appliance import Appliance, Readiness
from appliance.server.app import Application

from .conftest import Client, clients, settings_for

pytestmark = pytest.mark.anyio

API = "/api/v0"


@pytest.fixture
async def root(sqlite_app: tuple[Application, Client]) -> httpx.AsyncClient:
    app, connect = sqlite_app
    return connect(str(app.state.appliance.data.read_admin_key()))


def data(response: httpx.Response, status: int = 200) -> Any:
    assert status == response.status_code, response.text
    return response.json()["data"]


@asynccontextmanager
async def served(settings: Settings, project: Project) -> AsyncIterator[tuple[Appliance, Client]]:
    async with (
        Appliance.open(settings, project) as appliance,
        clients(Application(appliance)) as connect,
    ):
        yield appliance, connect


async def test_workflows_are_listed_and_shown(root: httpx.AsyncClient) -> None:
    """By id, by the beginning of the id, page by page; one with its whole definition."""
    listed = data(await root.get(f"{API}/workflows"))
    assert ["fail", "greet", "nap"] == [one["id"] for one in listed["workflows"]]
    assert ["greet"] == [w["id"] for w in data(await root.get(f"{API}/workflows?q=g"))["workflows"]]
    page = await root.get(f"{API}/workflows?limit=2")
    rest = data(await root.get(page.links["next"]["url"]))
    assert (["nap"], None) == ([w["id"] for w in rest["workflows"]], rest["page"]["next_cursor"])

    shown = data(await root.get(f"{API}/workflows/greet"))
    assert [{"name": "{{ .workflow.input.name }}"}] == [task["with"] for task in shown["tasks"]]
    assert ["name"] == shown["input"]["required"]


async def test_a_known_definition_is_not_sent_again(root: httpx.AsyncClient) -> None:
    """304 for the ETag that the client has; the whole for any other."""
    etag = (await root.get(f"{API}/workflows/greet")).headers["etag"]
    known = {"if-none-match": f'"old", {etag}'}
    same = await root.get(f"{API}/workflows/greet", headers=known)
    assert (304, b"", etag) == (same.status_code, same.content, same.headers["etag"])
    other = await root.get(f"{API}/workflows/greet", headers={"if-none-match": '"old"'})
    assert 200 == other.status_code


async def test_the_life_of_a_backup(tmp_path: Path, project: Project) -> None:
    """Made, listed, shown, verified, downloaded byte by byte, deleted."""
    database = DatabaseSettings(path=str(tmp_path / "app.db"))
    async with served(settings_for(database, tmp_path), project) as (appliance, connect):
        admin = connect(str(appliance.data.read_admin_key()))
        made = await admin.post(f"{API}/backups")
        backup = data(made, 201)
        url = made.headers["location"]
        assert f"{API}/backups/{backup['name']}" == url
        assert [backup] == data(await admin.get(f"{API}/backups"))["backups"]
        assert backup == data(await admin.get(url))
        assert 1 == data(await admin.post(f"{url}/verify"))["counts"]["users"]

        file = await admin.get(f"{url}/download")
        assert "application/zip" == file.headers["content-type"]
        assert backup["size"] == len(file.content) == int(file.headers["content-length"])
        assert backup["name"] in file.headers["content-disposition"]
        stored = (appliance.data.backups_path / backup["name"]).read_bytes()
        assert hashlib.sha256(stored).digest() == hashlib.sha256(file.content).digest()

        metrics = (await admin.get("/metrics")).text
        assert "compozy_backup_last_timestamp_seconds 1" in metrics
        assert 204 == (await admin.delete(url)).status_code
        assert 404 == (await admin.get(url)).status_code


@pytest.mark.parametrize(
    "name",
    [
        "...",
        "%2e%2e",
        "..%2fapp.db",
        "%2fetc%2fpasswd",
        "..%5capp.db",
        "app.db",
        "a" * 5000,
        "compozy-20260101T000000Z-00000000.zip%2f..%2f..%2fadmin.key",
        "%c0%ae%c0%ae",
        "a%0d%0ab",
    ],
)
async def test_no_name_leads_out_of_the_backups(root: httpx.AsyncClient, name: str) -> None:
    """Only names that the server gave are looked for; the rest is not found."""
    for path in (name, f"{name}/download"):
        response = await root.get(f"{API}/backups/{path}")
        assert 404 == response.status_code, response.text


async def test_health_is_not_readiness(
    sqlite_app: tuple[Application, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot acknowledge a write is alive, not ready, and says what is wrong."""
    app, connect = sqlite_app
    anybody = connect()
    for path in ("/health", "/healthz"):
        assert {"status", "version"} == data(await anybody.get(path)).keys()
    for path in ("/ready", "/readyz", f"{API}/health"):
        shown = data(await anybody.get(path))
        assert ("healthy", True) == (shown["status"], shown["ready"])
    assert data(await anybody.get("/ready"))["checks"]["database"]["ok"]

    async def broken() -> Readiness:
        checks: dict[str, dict[str, bool | str]]
        checks = {"database": {"ok": False, "detail": "the disk is gone"}}
        return Readiness(ready=False, checks=checks)

    monkeypatch.setattr(app.state.appliance, "ready", broken)
    for path in ("/ready", "/readyz", f"{API}/health"):
        response = await anybody.get(path)
        told = response.json()
        assert (503, "unavailable") == (response.status_code, told["code"])
        assert "the disk is gone" in told["detail"]
        assert not told["details"]["checks"]["database"]["ok"]
        assert "retry-after" in response.headers
    assert 200 == (await anybody.get("/health")).status_code


async def test_errors_have_one_shape(root: httpx.AsyncClient) -> None:
    """Whatever goes wrong, the answer is problem details with a code and where it was."""
    cases = [
        await root.get("/nothing"),
        await root.put(f"{API}/users"),
        await root.get(f"{API}/workflows/nothing"),
        await root.get(f"{API}/workflows?limit=x"),
        await root.post(f"{API}/users", content=b"{"),
        await root.post(f"{API}/users", content=b"email=x", headers={"content-type": "text/x"}),
        await root.post(f"{API}/users", content=b" " * 11_000_000),
        await root.post(f"{API}/users"),
        await root.get("/%ff%00"),
    ]
    expected = [404, 405, 404, 400, 400, 415, 413, 400, 400]
    assert expected == [case.status_code for case in cases]
    for case in cases:
        assert "application/problem+json" == case.headers["content-type"]
        told = case.json()
        assert {"type", "title", "status", "detail", "instance", "code"} <= told.keys()
        assert (case.status_code, f"/docs#{told['code']}") == (told["status"], told["type"])
        assert case.request.url.raw_path.partition(b"?")[0].decode() == told["instance"]
    assert "GET, HEAD, POST" == ", ".join(sorted(cases[1].headers["allow"].split(", ")))


async def test_a_trailing_slash_does_not_matter(root: httpx.AsyncClient) -> None:
    """One resource has one meaning, however its address ends."""
    assert data(await root.get(f"{API}/workflows")) == data(await root.get(f"{API}/workflows/"))


async def test_cors_only_when_it_is_on(tmp_path: Path, project: Project) -> None:
    """Other sites may call only when the settings name them, and then with every method."""
    site = {"origin": "https://app.example"}
    preflight = site | {
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    for enabled in (False, True):
        home = tmp_path / str(enabled)
        home.mkdir()
        server = ServerSettings(
            port=0, cors_enabled=enabled, cors_allowed_origins=("https://app.example",)
        )
        settings = settings_for(DatabaseSettings(path=":memory:"), home, server)
        async with served(settings, project) as (_, connect):
            got = await connect().get("/health", headers=site)
            asked = await connect().options(f"{API}/users/x", headers=preflight)
            other = await connect().get("/health", headers={"origin": "https://evil.example"})
        allowed = "https://app.example" if enabled else None
        assert allowed == got.headers.get("access-control-allow-origin")
        assert allowed == asked.headers.get("access-control-allow-origin")
        assert ("PATCH" in asked.headers.get("access-control-allow-methods", "")) == enabled
        assert other.headers.get("access-control-allow-origin") is None


async def test_without_authentication_only_this_machine_may_ask(
    tmp_path: Path, project: Project
) -> None:
    """Then being local is the right to do anything, so no web page may borrow it."""
    server = ServerSettings(port=0, auth_enabled=False)
    settings = settings_for(DatabaseSettings(path=":memory:"), tmp_path, server)
    async with served(settings, project) as (_, connect):
        here = connect(address="127.0.0.1")
        users = f"{API}/users"
        local = {"host": "localhost:5001"}
        answers = [
            await here.get(users, headers=local),
            await here.get(users, headers=local | {"origin": "http://localhost:5001"}),
            await here.get(users, headers=local | {"origin": "https://evil.example"}),
            await here.get(users, headers=local | {"origin": "null"}),
            await here.get(users, headers={"host": "rebound.example"}),
            await here.get(users, headers=local | {"x-forwarded-for": "192.0.2.1"}),
            await connect(address="192.0.2.1").get(users, headers=local),
        ]
        assert [200, 200, 403, 403, 403, 403, 403] == [one.status_code for one in answers]
        run = f"{API}/workflows/greet/executions/sync"
        wish = {"input": {"name": "Ada"}}
        ran = data(await here.post(run, json=wish, headers=local))
        assert "SUCCESS" == ran["workflow"]["status"]
