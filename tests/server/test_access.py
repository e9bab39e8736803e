"""Who may do what: every route of the application against everybody who may ask."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from litestar import Litestar

from appliance.operations.appliance import Appliance
from appliance.server.openapi import operations

from .conftest import Client

pytestmark = pytest.mark.anyio

API = "/api/v0"

# What a route answers to: nobody, a user, an admin. The requests are as empty as can be, so an
# admin often gets 400 or 404; what counts is who gets past the door, and that is 401 and 403.
ACCESS = {
    "GET /": (200, 200, 200),
    "GET /api/v0": (200, 200, 200),
    "GET /api/v0/health": (200, 200, 200),
    "GET /docs": (200, 200, 200),
    "GET /health": (200, 200, 200),
    "GET /healthz": (200, 200, 200),
    "GET /openapi.json": (200, 200, 200),
    "GET /ready": (200, 200, 200),
    "GET /readyz": (200, 200, 200),
    "GET /metrics": (401, 200, 200),
    "GET /api/v0/audit": (401, 403, 200),
    "POST /api/v0/auth/generate": (401, 201, 201),
    "GET /api/v0/auth/keys": (401, 200, 200),
    "DELETE /api/v0/auth/keys/{key_id}": (401, 404, 404),
    "POST /api/v0/auth/login": (400, 400, 400),
    "POST /api/v0/auth/logout": (401, 204, 204),
    "GET /api/v0/auth/me": (401, 200, 200),
    "GET /api/v0/backups": (401, 403, 200),
    "POST /api/v0/backups": (401, 403, 201),
    "GET /api/v0/backups/{name}": (401, 403, 404),
    "DELETE /api/v0/backups/{name}": (401, 403, 404),
    "GET /api/v0/backups/{name}/download": (401, 403, 404),
    "POST /api/v0/backups/{name}/verify": (401, 403, 404),
    "POST /api/v0/events": (401, 400, 400),
    "GET /api/v0/executions/workflows": (401, 200, 200),
    "GET /api/v0/executions/workflows/{exec_id}": (401, 404, 404),
    "POST /api/v0/executions/workflows/{exec_id}/cancel": (401, 404, 404),
    "POST /api/v0/executions/workflows/{exec_id}/pause": (401, 404, 404),
    "POST /api/v0/executions/workflows/{exec_id}/rerun": (401, 404, 404),
    "POST /api/v0/executions/workflows/{exec_id}/resume": (401, 404, 404),
    "POST /api/v0/executions/workflows/{exec_id}/retry": (401, 404, 404),
    "POST /api/v0/executions/workflows/{exec_id}/signals": (401, 400, 400),
    "GET /api/v0/executions/stream": (401, 200, 200),
    "GET /api/v0/executions/tasks/{exec_id}": (401, 404, 404),
    "GET /api/v0/executions/tasks/{exec_id}/stream": (401, 404, 404),
    "GET /api/v0/executions/workflows/{exec_id}/stream": (401, 404, 404),
    "POST /api/v0/tasks/{task_id}/executions": (401, 404, 404),
    "POST /api/v0/tasks/{task_id}/executions/sync": (401, 404, 404),
    "PATCH /api/v0/hooks/{slug}": (404, 404, 404),
    "POST /api/v0/hooks/{slug}": (404, 404, 404),
    "PUT /api/v0/hooks/{slug}": (404, 404, 404),
    "GET /api/v0/memory/health": (401, 200, 200),
    "GET /api/v0/memory/health/{memory_id}": (401, 404, 404),
    "GET /api/v0/memory/{memory_ref}/health": (401, 400, 400),
    "GET /api/v0/memory/{memory_ref}/keys": (401, 404, 404),
    "GET /api/v0/memory/{memory_ref}/read": (401, 400, 400),
    "GET /api/v0/memory/{memory_ref}/stats": (401, 400, 400),
    "POST /api/v0/memory/{memory_ref}/append": (401, 400, 400),
    "POST /api/v0/memory/{memory_ref}/clear": (401, 400, 400),
    "POST /api/v0/memory/{memory_ref}/delete": (401, 400, 400),
    "POST /api/v0/memory/{memory_ref}/flush": (401, 400, 400),
    "POST /api/v0/memory/{memory_ref}/write": (401, 400, 400),
    "GET /api/v0/schedules": (401, 200, 200),
    "GET /api/v0/schedules/{workflow_id}": (401, 404, 404),
    "PATCH /api/v0/schedules/{workflow_id}": (401, 404, 404),
    "DELETE /api/v0/schedules/{workflow_id}": (401, 404, 404),
    "POST /api/v0/schedules/{workflow_id}/pause": (401, 404, 404),
    "POST /api/v0/schedules/{workflow_id}/resume": (401, 404, 404),
    "POST /api/v0/schedules/{workflow_id}/trigger": (401, 404, 404),
    "GET /api/v0/schedules/{workflow_id}/ticks": (401, 404, 404),
    "GET /api/v0/users": (401, 403, 200),
    "POST /api/v0/users": (401, 403, 400),
    "GET /api/v0/users/{user_id}": (401, 404, 404),
    "PATCH /api/v0/users/{user_id}": (401, 404, 404),
    "DELETE /api/v0/users/{user_id}": (401, 403, 404),
    "GET /api/v0/workflows": (401, 200, 200),
    "GET /api/v0/workflows/{workflow_id}": (401, 404, 404),
    "GET /api/v0/workflows/{workflow_id}/executions": (401, 200, 200),
    "POST /api/v0/workflows/{workflow_id}/executions": (401, 404, 404),
    "POST /api/v0/workflows/{workflow_id}/executions/sync": (401, 404, 404),
    "PUT /api/v0/workflows/{workflow_id}": (401, 403, 400),
    "DELETE /api/v0/workflows/{workflow_id}": (401, 403, 404),
    "GET /api/v0/project": (401, 200, 200),
    "PUT /api/v0/project": (401, 403, 405),
    "DELETE /api/v0/project": (401, 403, 405),
    "POST /api/v0/project/export": (401, 403, 200),
    "POST /api/v0/project/import": (401, 403, 200),
    "POST /api/v0/admin/reload": (401, 403, 409),  # this project was not read from files
}

for _noun in ("agents", "mcps", "memories", "models", "schemas", "tasks", "tools", "workflows"):
    ACCESS |= {
        f"GET /api/v0/{_noun}": (401, 200, 200),
        f"POST /api/v0/{_noun}/export": (401, 403, 200),
        f"POST /api/v0/{_noun}/import": (401, 403, 200),
    }
    if _noun != "workflows":
        ACCESS |= {
            f"GET /api/v0/{_noun}/{{resource_id}}": (401, 404, 404),
            f"PUT /api/v0/{_noun}/{{resource_id}}": (401, 403, 400),
            f"DELETE /api/v0/{_noun}/{{resource_id}}": (401, 403, 404),
        }
for _part in ("tasks", "agents", "tools"):
    ACCESS[f"GET /api/v0/workflows/{{workflow_id}}/{_part}"] = (401, 404, 404)
    ACCESS[f"GET /api/v0/workflows/{{workflow_id}}/{_part}/{{part_id}}"] = (401, 404, 404)

ENDLESS = "GET /api/v0/executions/stream"
"""An answer without an end, so HEAD, which has the same door, is asked in its place."""


def routes(app: Litestar) -> list[str]:
    return [f"{operation.method} {operation.path}" for operation in operations(app)]


async def ask(client: httpx.AsyncClient, route: str) -> httpx.Response:
    method, path = route.split()
    path = re.sub(r"{\w+}", "nothing", path)
    body: Any = {} if method in {"POST", "PATCH"} else None
    return await client.request(method, path, json=body)


async def test_every_route_has_a_row(app: Litestar) -> None:
    """A new route is not done before somebody has said who may use it."""
    assert sorted(ACCESS) == sorted(routes(app))


async def test_the_table_holds(
    appliance: Appliance, connect: Client, user: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Each route lets in whom it should, on every database."""
    answers = {}
    for route in ACCESS:
        everybody = (connect(), user, admin)
        asked = route.replace("GET", "HEAD") if route == ENDLESS else route
        answers[route] = tuple([(await ask(client, asked)).status_code for client in everybody])
    expected = dict(ACCESS)
    if appliance.db.driver == "postgres":
        expected["POST /api/v0/backups"] = (401, 403, 409)
    assert expected == answers


@pytest.mark.parametrize("route", [route for route, row in ACCESS.items() if row[0] == 401])
async def test_no_token_but_a_good_one_opens(
    sqlite_app: tuple[Litestar, Client], route: str
) -> None:
    """A token that is revoked, mistyped or in the wrong place is no token, wherever it is shown."""
    app, connect = sqlite_app
    appliance: Appliance = app.state.appliance
    admin = connect(str(appliance.data.read_admin_key()))
    made = (await admin.post(f"{API}/auth/generate")).json()["data"]
    revoked = made["api_key"]
    assert 200 == (await connect(revoked).get(f"{API}/auth/me")).status_code
    assert 204 == (await admin.delete(f"{API}/auth/keys/{made['key']['id']}")).status_code

    strangers = [
        connect(revoked),
        connect("cpzy_" + "A" * 46),
        connect("nonsense"),
        connect(revoked[:-1]),
        connect(),
    ]
    for stranger in strangers:
        response = await ask(stranger, route)
        assert (401, "Bearer") == (response.status_code, response.headers["www-authenticate"])
        assert "unauthorized" == response.json()["code"]


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic YTpi", "{key}", "Token {key}", "Bearer {key} x", "Bearer a b"],
)
async def test_a_malformed_header_is_401(sqlite_app: tuple[Litestar, Client], value: str) -> None:
    """What is not `Bearer <key>` shows no key; the answer says what it should look like."""
    app, connect = sqlite_app
    key = app.state.appliance.data.read_admin_key()
    headers = {"authorization": value.format(key=key)}
    response = await connect().get(f"{API}/auth/me", headers=headers)
    assert 401 == response.status_code
    assert "Bearer" == response.headers["www-authenticate"]


async def test_a_header_sent_twice_is_401(sqlite_app: tuple[Litestar, Client]) -> None:
    """Two keys are none: nobody could say which one counts."""
    app, connect = sqlite_app
    key = f"Bearer {app.state.appliance.data.read_admin_key()}"
    headers = [("authorization", key), ("authorization", key)]
    assert 401 == (await connect().get(f"{API}/auth/me", headers=headers)).status_code
    assert 200 == (await connect().get(f"{API}/auth/me", headers=headers[:1])).status_code
    lower = {"authorization": key.replace("Bearer", "bearer")}
    assert 200 == (await connect().get(f"{API}/auth/me", headers=lower)).status_code


async def test_metrics_are_open_on_this_machine_only(sqlite_app: tuple[Litestar, Client]) -> None:
    """A proxy speaks for others, and a page of another site asks for its own host."""
    _, connect = sqlite_app
    here = connect(address="127.0.0.1")
    local = {"host": "localhost:5001"}
    assert 200 == (await here.get("/metrics", headers=local)).status_code
    assert 200 == (await here.get("/metrics", headers={"host": "[::1]:5001"})).status_code
    assert 401 == (await here.get("/metrics", headers={"host": "evil.example"})).status_code
    proxied = local | {"x-forwarded-for": "192.0.2.9"}
    assert 401 == (await here.get("/metrics", headers=proxied)).status_code
    assert 401 == (await connect(address="192.0.2.9").get("/metrics", headers=local)).status_code
