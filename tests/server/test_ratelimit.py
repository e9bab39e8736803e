"""Rate limits: who is counted for what, and what a client is told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import DatabaseSettings, RateLimitSettings
from appliance.language.model import Project
from appliance.operations.appliance import Appliance
from appliance.server import ratelimit
from appliance.server.app import Application
from appliance.server.ratelimit import Rate, RateLimits

from .conftest import Client, clients, settings_for

pytestmark = pytest.mark.anyio

API = "/api/v0"
ME = f"{API}/auth/me"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def limited(
    home: Path, project: Project, **limits: float
) -> AsyncIterator[tuple[str, Client]]:
    """Serve with limits; give the admin key and what makes clients."""
    rules = settings_for(DatabaseSettings(path=":memory:"), home)
    rules = msgspec.structs.replace(rules, ratelimit=RateLimitSettings(**limits))  # type: ignore[arg-type]
    async with (
        Appliance.open(rules, project) as appliance,
        clients(Application(appliance)) as connect,
    ):
        yield appliance.data.read_admin_key() or "", connect


async def ask(client: httpx.AsyncClient, times: int, path: str = ME) -> list[int]:
    return [(await client.get(path)).status_code for _ in range(times)]


# -- the count -------------------------------------------------------------------------------------


def test_a_burst_and_then_an_even_flow() -> None:
    """All of a period may come at once; then one more each time that its share of it has passed."""
    now = Clock()
    rate = Rate(4, 60.0, now)
    assert [3, 2, 1, 0] == [rate.take("a").remaining for _ in range(4)]
    assert (4, 0, 60.0, 15.0) == rate.take("a")
    now.now += 15.0
    assert [0.0, 15.0] == [rate.take("a").wait_s for _ in range(2)]
    now.now += 60.0
    assert (4, 3, 15.0, 0.0) == rate.take("a")


def test_each_has_its_own() -> None:
    """What one used up is not missing to another; what was given back can be used again."""
    rate = Rate(1, 60.0, Clock())
    assert [0.0, 0.0] == [rate.take("a").wait_s, rate.take("b").wait_s]
    assert rate.take("a").wait_s
    rate.give_back("a")
    rate.give_back("nobody")
    assert 0.0 == rate.take("a").wait_s
    rate.forget("b")
    assert 0.0 == rate.take("b").wait_s


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was idle longest is forgotten first."""
    monkeypatch.setattr(ratelimit, "CAPACITY", 3)
    rate = Rate(1, 60.0, Clock())
    for name in "abcad":
        rate.take(name)
    assert (3, False, True) == (len(rate), "b" in rate, "a" in rate)


@given(
    limit=st.integers(1, 50),
    period=st.floats(0.5, 3600),
    steps=st.lists(st.floats(0, 20), min_size=1, max_size=300),
)
def test_never_more_than_twice_the_limit_in_a_period(
    limit: int, period: float, steps: list[float]
) -> None:
    """A burst, and what flows back meanwhile; and who waits as long as was said is let in."""
    now = Clock()
    rate = Rate(limit, period, now)
    passed = []
    for step in steps:
        now.now += step
        allowance = rate.take("a")
        if allowance.wait_s:
            now.now += allowance.wait_s + 1e-6
            assert 0.0 == rate.take("a").wait_s
        assert 0 <= allowance.remaining < limit
        passed.append(now.now)
    for begin in passed:
        assert 2 * limit >= sum(begin <= at < begin + period for at in passed)


# -- at the door -----------------------------------------------------------------------------------


async def test_what_a_client_is_told(tmp_path: Path, project: Project) -> None:
    """Every answer says what is left, a refusal is a problem that says when to come back."""
    async with limited(tmp_path, project, key_limit=3, key_period=3600) as (key, connect):
        first, _, third, refused = [await connect(key).get(ME) for _ in range(4)]
    assert ["3", "2"] == [first.headers[f"ratelimit-{name}"] for name in ("limit", "remaining")]
    assert (200, "0") == (third.status_code, third.headers["x-ratelimit-remaining"])
    assert (429, "rate_limit_exceeded") == (refused.status_code, refused.json()["code"])
    assert "application/problem+json" == refused.headers["content-type"]
    assert ME == refused.json()["instance"]
    assert 1100 < int(refused.headers["retry-after"]) <= 1200
    assert 3500 < int(refused.headers["ratelimit-reset"]) <= 3600
    assert 3500 < int(refused.headers["x-ratelimit-reset"]) - time.time() <= 3601
    assert "nosniff" == refused.headers["x-content-type-options"]


async def test_a_key_counts_wherever_it_is_used(tmp_path: Path, project: Project) -> None:
    """Another address gives it no more; an address that others have used up takes nothing from it."""
    limits = {"key_limit": 3, "address_limit": 2}
    async with limited(tmp_path, project, **limits) as (key, connect):
        here, there = connect(key, "192.0.2.1"), connect(key, "192.0.2.2")
        assert [200] == await ask(here, 1)
        assert [401, 401, 429] == await ask(connect("", "192.0.2.1"), 3)
        assert [200] == await ask(here, 1)
        assert [200, 429] == await ask(there, 2)
        assert [429] == await ask(here, 1)


async def test_without_a_good_key_the_address_counts(tmp_path: Path, project: Project) -> None:
    """No key, a wrong one and always another one are the same; a /64 of IPv6 is one address."""
    async with limited(tmp_path, project, address_limit=3) as (_, connect):
        asked = [await ask(connect(f"cpzy_{n}", "2001:db8::1"), 1) for n in range(2)]
        assert [[401], [401]] == asked
        assert [401, 429] == await ask(connect("", "2001:db8::ffff"), 2)
        assert [401] == await ask(connect("", "2001:db8:0:1::1"), 1)


async def test_logins_count_for_the_address(tmp_path: Path, project: Project) -> None:
    """What needs no key is limited too."""
    wish = {"email": "ada@example.com", "password": "wrong-password"}
    async with limited(tmp_path, project, address_limit=2) as (_, connect):
        client = connect()
        answers = [await client.post(f"{API}/auth/login", json=wish) for _ in range(3)]
    assert [401, 401, 429] == [answer.status_code for answer in answers]
    assert "rate_limit_exceeded" == answers[-1].json()["code"]


async def test_a_revoked_key_counts_for_the_address(tmp_path: Path, project: Project) -> None:
    """It is no good key any more, so it cannot be used to go round the limit of the address."""
    async with limited(tmp_path, project, key_limit=3, address_limit=4) as (key, connect):
        made = await connect(key).post(f"{API}/auth/generate", json={"name": "other"})
        other = connect(made.json()["data"]["api_key"])
        assert [200] == await ask(other, 1)
        await connect(key).delete(f"{API}/auth/keys/{made.json()['data']['key']['id']}")
        assert [401, 401, 401, 401, 401, 429] == await ask(other, 6)


async def test_who_watches_over_the_server_is_never_refused(
    tmp_path: Path, project: Project
) -> None:
    """Health, readiness and metrics are neither counted nor refused."""
    async with limited(tmp_path, project, address_limit=1, key_limit=1) as (key, connect):
        client = connect(key)
        paths = ("/health", "/healthz", "/ready", "/readyz", f"{API}/health", "/health/")
        for path in (*paths, "/metrics"):
            answers = [await client.get(path) for _ in range(3)]
            assert [200] * 3 == [answer.status_code for answer in answers]
            assert "ratelimit-limit" not in answers[0].headers
        assert [200, 429] == await ask(client, 2)


async def test_nothing_is_no_limit(tmp_path: Path, project: Project) -> None:
    """0 turns a limit off, and then nothing is said of it."""
    async with limited(tmp_path, project, address_limit=0, key_limit=0) as (key, connect):
        for client in (connect(key), connect()):
            answers = [await client.get("/") for _ in range(50)]
            assert {200} == {answer.status_code for answer in answers}
            assert "ratelimit-limit" not in answers[-1].headers
        assert [200] * 50 == await ask(connect(key), 50)


async def test_the_description_names_it(tmp_path: Path, project: Project) -> None:
    """429 is a documented answer of every route that can give it."""
    async with limited(tmp_path, project) as (_, connect):
        paths = (await connect().get("/openapi.json")).json()["paths"]
    named = {
        path
        for path, methods in paths.items()
        if all("429" in operation["responses"] for operation in methods.values())
    }
    assert {"/health", "/healthz", "/ready", "/readyz", "/metrics", f"{API}/health"} == (
        set(paths) - named
    )


async def test_what_is_refused_does_not_reach_the_application() -> None:
    """A refusal costs next to nothing: no route is looked for and no key looked up."""
    reached = 0

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal reached
        reached += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await door(cast("Any", {**scope, "state": {}}), receive, send)

    door = RateLimits(cast("Any", application), RateLimitSettings(address_limit=2))
    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert [200, 200, 429, 429] == await ask(client, 4)
    assert 2 == reached
