"""How a key is shown: one header field, of one form, and where none is needed."""

from __future__ import annotations

import pytest

from appliance.server.app import Application

from .conftest import Client

pytestmark = pytest.mark.anyio

API = "/api/v0"


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic YTpi", "{key}", "Token {key}", "Bearer {key} x", "Bearer a b"],
)
async def test_a_malformed_header_is_401(
    sqlite_app: tuple[Application, Client], value: str
) -> None:
    """What is not `Bearer <key>` shows no key; the answer says what it should look like."""
    app, connect = sqlite_app
    key = app.state.appliance.data.read_admin_key()
    headers = {"authorization": value.format(key=key)}
    response = await connect().get(f"{API}/auth/me", headers=headers)
    assert 401 == response.status_code
    assert "Bearer" == response.headers["www-authenticate"]


async def test_a_header_sent_twice_is_401(sqlite_app: tuple[Application, Client]) -> None:
    """Two keys are none: nobody could say which one counts."""
    app, connect = sqlite_app
    key = f"Bearer {app.state.appliance.data.read_admin_key()}"
    headers = [("authorization", key), ("authorization", key)]
    assert 401 == (await connect().get(f"{API}/auth/me", headers=headers)).status_code
    assert 200 == (await connect().get(f"{API}/auth/me", headers=headers[:1])).status_code
    lower = {"authorization": key.replace("Bearer", "bearer")}
    assert 200 == (await connect().get(f"{API}/auth/me", headers=lower)).status_code


async def test_metrics_are_open_on_this_machine_only(
    sqlite_app: tuple[Application, Client],
) -> None:
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
