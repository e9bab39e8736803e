"""Webhooks over HTTP, on every database: who gets in, what is started, and what is not started twice."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from appliance import clock
from appliance.config import DatabaseSettings
from appliance.language.model import (
    Dedupe,
    Project,
    Trigger,
    Verify,
    Webhook,
    WebhookEvent,
)
from appliance.operations.appliance import Appliance
from appliance.operations.webhooks import AT_ONCE
from appliance.server.app import Application

from .conftest import clients, sample_project, settings_for

pytestmark = pytest.mark.anyio

API = "/api/v0"
HOOKS = f"{API}/hooks"
SECRET = "s3cret-of-the-bank"
SETTLED = {"kind": "settled", "transfer": {"id": "tr-1", "name": "Ada"}}
SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "maxLength": 20}},
}

EVENTS = (
    WebhookEvent(name="broken", filter="payload.nowhere.at == 1", input={}),
    WebhookEvent(name="odd", filter='"settled"', input={}),
    WebhookEvent(
        name="settled",
        filter='payload.kind == "settled" && !(has(query.dry))',
        input={"name": "{{ .payload.transfer.name }}"},
        schema=SCHEMA,
    ),
    WebhookEvent(
        name="named",
        filter='headers["x-kind"] == "named"',
        input={"name": "{{ .payload.kind }}", "of": '{{ index .query "name" }}'},
    ),
    WebhookEvent(name="late", filter='payload.kind == "settled"', input={"name": "late"}),
)


def _hook(slug: str, *, method: str = "", **parts: Any) -> Trigger:
    return Trigger(
        type="webhook", webhook=Webhook(slug=slug, method=method, events=EVENTS, **parts)
    )


def _signed(strategy: Any, **more: Any) -> Verify:
    return Verify(strategy=strategy, secret="{{ .env.BANK_SECRET }}", **more)


HOOK_TRIGGERS = (
    _hook("open"),
    _hook("put", method="PUT"),
    _hook("keyed", dedupe=Dedupe(enabled=True, ttl=60, key="transfer.id")),
    _hook("bank", verify=_signed("hmac", header="X-Bank-Sign")),
    _hook("bank-keyed", verify=_signed("hmac", header="X-Bank-Sign"),
          dedupe=Dedupe(enabled=True, key="transfer.id")),
    _hook("github", verify=_signed("github")),
    _hook("stripe", verify=_signed("stripe")),
    _hook("empty", verify=Verify(strategy="github", secret="{{ .env.EMPTY }}")),
    _hook("unset", verify=Verify(strategy="github", secret="{{ .env.UNSET }}")),
)  # fmt: skip


@pytest.fixture(scope="session")
def project() -> Project:
    """The sample, whose workflow `greet` has webhooks of every kind."""
    sample = sample_project()
    greet = msgspec.structs.replace(sample.workflows["greet"], triggers=HOOK_TRIGGERS)
    return msgspec.structs.replace(
        sample,
        workflows=sample.workflows | {"greet": greet},
        env={"BANK_SECRET": SECRET, "EMPTY": " "},
    )


@pytest.fixture
def stranger(connect: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """Somebody without a key."""
    return connect()


def hexdigest(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def stripe_sign(body: bytes, at: int) -> dict[str, str]:
    digest = hexdigest(f"{at}.".encode() + body)
    return {"stripe-signature": f"t={at},v1={digest}"}


def github_sign(body: bytes) -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={hexdigest(body)}"}


def bank_sign(body: bytes) -> dict[str, str]:
    return {"x-bank-sign": hexdigest(body)}


def encoded(**changes: Any) -> bytes:
    return json.dumps(SETTLED | changes).encode()


def problem(response: httpx.Response, status: int, code: str) -> str:
    body = response.json()
    assert (status, code) == (response.status_code, body["code"]), response.text
    detail: str = body["detail"]
    return detail


def accepted(response: httpx.Response) -> Any:
    assert 202 == response.status_code, response.text
    return response.json()["data"]


async def runs(admin: httpx.AsyncClient) -> list[Any]:
    found: list[Any] = (await admin.get(f"{API}/executions/workflows")).json()["data"]["executions"]
    return found


async def ended(admin: httpx.AsyncClient, exec_id: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            state = (await admin.get(f"{API}/executions/workflows/{exec_id}")).json()["data"]
            if state["status"] not in {"PENDING", "RUNNING", "WAITING"}:
                return state
            await asyncio.sleep(0.02)


async def test_a_delivery_starts_a_run(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """No key is needed; the first event that matches gives the run its input."""
    answer = await stranger.post(f"{HOOKS}/open", json=SETTLED)
    found = accepted(answer)
    assert ("accepted", "settled") == (found["status"], found["event"])
    assert 202 == answer.json()["status"]
    state = await ended(admin, found["exec_id"])
    assert ("SUCCESS", "greet") == (state["status"], state["workflow_id"])
    assert ({"name": "Ada"}, {"result": {"text": "Hello, Ada!"}}) == (
        state["input"],
        state["output"],
    )


async def test_the_run_says_where_it_comes_from(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Webhook, event and the correlation id of the sender, whichever header it is in."""
    for header in ("X-Correlation-ID", "X-Request-ID"):
        answer = await stranger.post(f"{HOOKS}/open", json=SETTLED, headers={header: "c-17"})
        state = await ended(admin, accepted(answer)["exec_id"])
        origin = {"type": "webhook", "slug": "open", "event": "settled", "correlation_id": "c-17"}
        assert origin == state["origin"]
        assert state["started_by"] is None


async def test_headers_and_query_count_too(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Names of headers are lower-case, of a query that says a name twice the first one counts."""
    url = f"{HOOKS}/open?name=Bob&name=Eve"
    named = accepted(await stranger.post(url, json={"kind": "-"}, headers={"X-Kind": "named"}))
    assert "named" == named["event"]
    assert {"name": "-", "of": "Bob"} == (await ended(admin, named["exec_id"]))["input"]
    dry = await stranger.post(f"{HOOKS}/open?dry=1", json=SETTLED)
    assert "late" == accepted(dry)["event"]


async def test_a_delivery_that_means_nothing_is_welcome(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """200 and no run; a filter that fails counts as no match and is in the log."""
    with capture_logs() as logs:
        answer = await stranger.post(f"{HOOKS}/open", json=["other"])
    assert (200, 200) == (answer.status_code, answer.json()["status"])
    assert {"status": "no_matching_event"} == answer.json()["data"]
    failed = [log["webhook_event"] for log in logs if log["event"] == "webhook.filter_failed"]
    assert "broken" in failed
    assert [] == await runs(admin)


async def test_what_is_refused_at_the_door(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Unknown slug 404, other method 405, too large 413, no JSON 400; nothing is started."""
    assert "'nothing'" in problem(await stranger.post(f"{HOOKS}/nothing"), 404, "not_found")
    post = await stranger.post(f"{HOOKS}/put", json=SETTLED)
    problem(post, 405, "method_not_allowed")
    assert "PUT" == post.headers["allow"]
    problem(await stranger.get(f"{HOOKS}/open"), 405, "method_not_allowed")
    large = b'"' + b"x" * (1 << 20) + b'"'
    assert "1048576" in problem(
        await stranger.post(f"{HOOKS}/open", content=large), 413, "too_large"
    )
    for broken in (b"", b"{", b"\xff", b'{"a":1,"a":2}', b'{"n": NaN}'):
        answer = await stranger.post(f"{HOOKS}/open", content=broken)
        problem(answer, 400, "invalid_input")
    assert [] == await runs(admin)


async def test_a_body_is_not_read_beyond_the_limit(stranger: httpx.AsyncClient) -> None:
    """A sender that does not say how much it sends is stopped when it is too much."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    answer = await stranger.post(f"{HOOKS}/open", content=endless())
    problem(answer, 413, "too_large")
    assert sent <= (1 << 20) + 2 * 65_536


async def test_a_storm_leaves_room_for_others(appliance: Appliance) -> None:
    """In one pass of the event loop few deliveries have their turn, and in the end all had it."""
    turns = [asyncio.create_task(appliance.webhooks.turn()) for _ in range(30)]
    had = [0]
    while had[-1] < len(turns):
        await asyncio.sleep(0)
        had.append(sum(turn.done() for turn in turns))
    assert AT_ONCE >= max(later - sooner for sooner, later in itertools.pairwise(had))


async def test_the_method_can_be_another(stranger: httpx.AsyncClient) -> None:
    """PUT or PATCH, where the webhook says so."""
    assert "settled" == accepted(await stranger.put(f"{HOOKS}/put", json=SETTLED))["event"]


async def test_a_wrong_signature_is_401(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """Missing, made with another secret, or of another body, for every strategy."""
    body, now = encoded(), clock.now_us() // 1_000_000
    for slug, good in (
        ("bank", bank_sign(body)),
        ("github", github_sign(body)),
        ("stripe", stripe_sign(body, now)),
    ):
        url = f"{HOOKS}/{slug}"
        problem(await stranger.post(url, content=body), 401, "invalid_signature")
        changed = await stranger.post(url, content=body + b" ", headers=good)
        problem(changed, 401, "invalid_signature")
        forged = {name: value[:-1] + "0f"[value[-1] == "0"] for name, value in good.items()}
        problem(await stranger.post(url, content=body, headers=forged), 401, "invalid_signature")
    assert [] == await runs(admin)


async def test_the_signature_is_asked_before_the_json(stranger: httpx.AsyncClient) -> None:
    """A stranger learns nothing about what is understood."""
    problem(await stranger.post(f"{HOOKS}/github", content=b"{"), 401, "invalid_signature")
    signed = await stranger.post(f"{HOOKS}/github", content=b"{", headers=github_sign(b"{"))
    problem(signed, 400, "invalid_input")


async def test_a_stale_time_is_401(
    stranger: httpx.AsyncClient, moved: Callable[[float], None]
) -> None:
    """What was signed is good for five minutes; after a refusal it can be signed anew."""
    body, now = encoded(), clock.now_us() // 1_000_000
    moved(301)
    stale = await stranger.post(f"{HOOKS}/stripe", content=body, headers=stripe_sign(body, now))
    assert "300 seconds" in problem(stale, 401, "invalid_signature")
    again = stripe_sign(body, now + 301)
    accepted(await stranger.post(f"{HOOKS}/stripe", content=body, headers=again))


async def test_a_signed_body_counts_once(
    stranger: httpx.AsyncClient,
) -> None:
    """A replay is 409 also where nothing is said about dedupe, whatever unsigned headers say."""
    body, now = encoded(), clock.now_us() // 1_000_000
    for slug, headers in (
        ("stripe", stripe_sign(body, now)),
        ("github", github_sign(body)),
        ("bank", bank_sign(body)),
    ):
        accepted(await stranger.post(f"{HOOKS}/{slug}", content=body, headers=headers))
        for more in ({}, {"x-idempotency-key": "another"}):
            replay = await stranger.post(f"{HOOKS}/{slug}", content=body, headers=headers | more)
            problem(replay, 409, "conflict")


async def test_a_signed_body_counts_once_as_long_as_its_time_is_good(
    stranger: httpx.AsyncClient, moved: Callable[[float], None]
) -> None:
    """The clock of a sender may be ahead: then what it signed is good for twice the skew."""
    body, now = encoded(), clock.now_us() // 1_000_000
    signed = stripe_sign(body, now + 290)
    accepted(await stranger.post(f"{HOOKS}/stripe", content=body, headers=signed))
    for later in (290, 580):
        moved(later)
        replay = await stranger.post(f"{HOOKS}/stripe", content=body, headers=signed)
        problem(replay, 409, "conflict")
    moved(600)
    replay = await stranger.post(f"{HOOKS}/stripe", content=body, headers=signed)
    problem(replay, 401, "invalid_signature")


async def test_a_webhook_without_a_secret_is_closed(
    stranger: httpx.AsyncClient, project: Project, tmp_path: Path
) -> None:
    """Nobody can sign with an empty secret; the log says which webhook has none, and no secret."""
    for slug in ("empty", "unset"):
        for secret in ("", " "):
            body = encoded()
            headers = {"x-hub-signature-256": f"sha256={hexdigest(body, secret)}"}
            answer = await stranger.post(f"{HOOKS}/{slug}", content=body, headers=headers)
            assert "no secret" in problem(answer, 503, "unavailable")
    settings = settings_for(DatabaseSettings(path=":memory:"), tmp_path / "other")
    with capture_logs() as logs:
        async with Appliance.open(settings, project):
            pass
    closed = [log["slug"] for log in logs if log["event"] == "webhook.no_secret"]
    assert ["empty", "unset"] == closed
    assert SECRET not in str(logs)


async def test_what_does_not_fit_is_422(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """A value the template needs, the schema of the event, the input of the workflow: each named."""
    url = f"{HOOKS}/open"
    missing = await stranger.post(url, json={"kind": "settled", "transfer": {}})
    assert "name" in problem(missing, 422, "invalid_payload")
    long = await stranger.post(url, json={"kind": "settled", "transfer": {"name": "x" * 21}})
    assert "event settled: input.name" in problem(long, 422, "invalid_payload")
    listed = {"kind": "settled", "transfer": {"name": ["a"]}}
    assert "input.name" in problem(await stranger.post(url, json=listed), 422, "invalid_payload")
    of_workflow = await stranger.post(
        f"{url}?name=Bob", json={"kind": 7}, headers={"x-kind": "named"}
    )
    assert "event named: input.name" in problem(of_workflow, 422, "invalid_payload")
    assert [] == await runs(admin)


async def test_the_same_key_counts_once(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    """The header comes first, then the path into the payload; a delivery needs one of them."""
    url = f"{HOOKS}/keyed"
    accepted(await stranger.post(url, json=SETTLED))
    problem(await stranger.post(url, json=SETTLED), 409, "conflict")
    key = {"x-idempotency-key": "k-1"}
    accepted(await stranger.post(url, json=SETTLED, headers=key))
    other = SETTLED | {"transfer": {"id": "tr-2", "name": "Bob"}}
    problem(await stranger.post(url, json=other, headers=key), 409, "conflict")
    accepted(await stranger.post(url, json=other))
    for transfer in ({"name": "x"}, {"name": "x", "id": ""}, {"name": "x", "id": {}}):
        keyless = await stranger.post(url, json=SETTLED | {"transfer": transfer})
        assert "transfer.id" in problem(keyless, 400, "invalid_input")
    long = await stranger.post(url, json=SETTLED, headers={"x-idempotency-key": "k" * 256})
    assert "255" in problem(long, 400, "invalid_input")
    assert 3 == len(await runs(admin))


async def test_what_is_signed_is_a_better_key(stranger: httpx.AsyncClient) -> None:
    """Whoever repeats a signed body under another header is not somebody new."""
    body, url = encoded(), f"{HOOKS}/bank-keyed"
    accepted(await stranger.post(url, content=body, headers=bank_sign(body)))
    again = bank_sign(body) | {"x-idempotency-key": "fresh"}
    problem(await stranger.post(url, content=body, headers=again), 409, "conflict")
    same_transfer = encoded(more=1)
    repeated = await stranger.post(url, content=same_transfer, headers=bank_sign(same_transfer))
    problem(repeated, 409, "conflict")


async def test_a_key_is_of_one_webhook(stranger: httpx.AsyncClient) -> None:
    """Two senders may number their deliveries alike."""
    body = encoded()
    accepted(await stranger.post(f"{HOOKS}/keyed", content=body))
    accepted(await stranger.post(f"{HOOKS}/bank-keyed", content=body, headers=bank_sign(body)))


async def test_a_refused_delivery_may_come_again(stranger: httpx.AsyncClient) -> None:
    """Only what was accepted uses a key up."""
    url, key = f"{HOOKS}/keyed", {"x-idempotency-key": "k-2"}
    bad = {"kind": "settled", "transfer": {"name": 5 * "long "}}
    problem(await stranger.post(url, json=bad, headers=key), 422, "invalid_payload")
    assert 200 == (await stranger.post(url, json={}, headers=key)).status_code
    accepted(await stranger.post(url, json=SETTLED, headers=key))


async def test_one_of_twenty_wins(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient, moved: Callable[[float], None]
) -> None:
    """Equal deliveries at the same moment start one run, also when the key was used long ago."""
    for so_far in (1, 2):
        answers = await asyncio.gather(
            *(stranger.post(f"{HOOKS}/keyed", json=SETTLED) for _ in range(20))
        )
        assert [202] + [409] * 19 == sorted(answer.status_code for answer in answers)
        assert so_far == len(await runs(admin))
        moved(61)


async def test_a_key_is_free_after_its_time(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient, moved: Callable[[float], None]
) -> None:
    """The ttl counts from what was accepted, not from what was refused; both runs stay."""
    first = accepted(await stranger.post(f"{HOOKS}/keyed", json=SETTLED))
    for later in (30, 59):
        moved(later)
        problem(await stranger.post(f"{HOOKS}/keyed", json=SETTLED), 409, "conflict")
    moved(61)
    second = accepted(await stranger.post(f"{HOOKS}/keyed", json=SETTLED))
    problem(await stranger.post(f"{HOOKS}/keyed", json=SETTLED), 409, "conflict")
    for started in (first, second):
        assert "SUCCESS" == (await ended(admin, started["exec_id"]))["status"]


async def test_a_restart_forgets_no_key(
    database_settings: DatabaseSettings, tmp_path: Path, project: Project
) -> None:
    """What was accepted before a stop is refused after it, signed or keyed."""
    body = encoded()
    async with _served(database_settings, tmp_path, project) as client:
        accepted(await client.post(f"{HOOKS}/keyed", content=body))
        accepted(await client.post(f"{HOOKS}/github", content=body, headers=github_sign(body)))
    async with _served(database_settings, tmp_path, project) as client:
        problem(await client.post(f"{HOOKS}/keyed", content=body), 409, "conflict")
        signed = await client.post(f"{HOOKS}/github", content=body, headers=github_sign(body))
        problem(signed, 409, "conflict")


@asynccontextmanager
async def _served(
    database: DatabaseSettings, home: Path, project: Project
) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        Appliance.open(settings_for(database, home), project) as opened,
        clients(Application(opened)) as connect,
    ):
        yield connect()


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Set the wall clock ahead by so many seconds."""
    real = clock.now_us

    def ahead(seconds: float) -> None:
        monkeypatch.setattr(clock, "now_us", lambda: real() + round(seconds * 1_000_000))

    yield ahead
    monkeypatch.undo()
