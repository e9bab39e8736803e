"""How a token becomes an actor, fast, and never later than its end."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import cast

import pytest

from appliance import clock
from appliance.errors import Unauthorized
from appliance.operations import authentication, tokens
from appliance.operations.actors import SYSTEM
from appliance.operations.authentication import Authenticator
from appliance.operations.identity import Identity
from appliance.operations.keys import generate_key, list_keys, revoke_key
from appliance.store.api_keys import ApiKeys
from appliance.store.database import Database, Param, T, Work

from .people import Time, member

pytestmark = pytest.mark.anyio


class Counting:
    """A database that counts reads and writes, and can hold reads back."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.reads = 0
        self.writes = 0
        self.held: list[tuple[Future[object], Future[object]]] | None = None

    def read(self, work: Work[T], *, scan: bool = False) -> Future[T]:
        self.reads += 1
        answer = self._db.read(work, scan=scan)
        if self.held is None:
            return answer
        answer.exception()
        late: Future[T] = Future()
        self.held.append((late, answer))  # type: ignore[arg-type]
        return late

    def release(self) -> None:
        held, self.held = self.held or [], None
        for late, answer in held:
            late.set_result(answer.result())

    def write(self, work: Work[T]) -> Future[T]:
        self.writes += 1
        return self._db.write(work)


@pytest.fixture
def counting(db: Database) -> Counting:
    return Counting(db)


@pytest.fixture
def identity(counting: Counting, time: Time) -> Identity:
    return Identity(cast("Database", counting), now_us=time.now_us, monotonic=time.monotonic)


async def new_key(identity: Identity, **more: int) -> tuple[str, str]:
    """Return id and text of a key of a new user."""
    ada = await member(identity)
    key, text = await generate_key(identity, ada, **more)  # type: ignore[arg-type]
    return key.id, text


async def last_used(identity: Identity) -> str | None:
    page = await list_keys(identity, SYSTEM)
    at: str | None = page.items[0]["last_used_at"]
    return at


async def test_a_mistyped_key_needs_no_database(identity: Identity, counting: Counting) -> None:
    """What has not the form of a token is refused before any look-up."""
    for token in ("", "cpzy_", "x" * 51, "cpzy_" + "0" * 46, "\ud800", "\0", "é" * 51):
        with pytest.raises(Unauthorized, match="mistyped"):
            await identity.authenticator.authenticate(token)
    assert 0 == counting.reads


async def test_an_unknown_key_is_refused_every_time(identity: Identity) -> None:
    """A well-formed key that nobody made opens nothing, and neither does a session."""
    for token in (tokens.new_key().text, tokens.new_session().text):
        for _ in range(2):
            with pytest.raises(Unauthorized, match="unknown"):
                await identity.authenticator.authenticate(token)


async def test_the_database_is_asked_once_a_second(
    identity: Identity, counting: Counting, time: Time
) -> None:
    """Within a second the answer comes from memory, and then is asked for again."""
    _, text = await new_key(identity)
    counting.reads = 0

    for _ in range(3):
        await identity.authenticator.authenticate(text)
    assert 1 == counting.reads
    time.seconds += 1
    await identity.authenticator.authenticate(text)
    assert 2 == counting.reads


async def test_a_revocation_elsewhere_counts_within_a_second(
    identity: Identity, db: Database, time: Time
) -> None:
    """Another node that shares the database revokes a key: it opens here for a second at most."""
    key_id, text = await new_key(identity)
    await identity.authenticator.authenticate(text)

    await revoke_key(Identity(db, now_us=time.now_us), SYSTEM, key_id)

    time.seconds += 1
    with pytest.raises(Unauthorized):
        await identity.authenticator.authenticate(text)


async def test_a_clock_that_jumps_back_stretches_nothing(
    identity: Identity, counting: Counting, time: Time
) -> None:
    """An answer from what is now the future is not used."""
    _, text = await new_key(identity)
    await identity.authenticator.authenticate(text)
    counting.reads = 0

    time.seconds -= 3600
    await identity.authenticator.authenticate(text)

    assert 1 == counting.reads


async def test_expiry_is_exact_although_answers_are_kept(identity: Identity, time: Time) -> None:
    """A key opens until the microsecond of its expiry, in memory or not."""
    end = time.now_us() + clock.MICROSECONDS // 2
    _, text = await new_key(identity, expires_at_us=end)
    await identity.authenticator.authenticate(text)

    time.seconds += 0.499
    await identity.authenticator.authenticate(text)
    time.seconds += 0.001
    with pytest.raises(Unauthorized, match="expired"):
        await identity.authenticator.authenticate(text)


async def test_a_look_up_that_is_under_way_brings_nothing_back(
    identity: Identity, counting: Counting
) -> None:
    """What was read before a revocation is not kept after it."""
    key_id, text = await new_key(identity)
    counting.held = []
    early = asyncio.ensure_future(identity.authenticator.authenticate(text))
    await asyncio.sleep(0)
    assert 1 == len(counting.held)

    await revoke_key(identity, SYSTEM, key_id)
    counting.release()
    await early

    with pytest.raises(Unauthorized):
        await identity.authenticator.authenticate(text)


async def test_memory_is_bounded(
    identity: Identity, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the capacity the oldest answer makes room."""
    monkeypatch.setattr(authentication, "CAPACITY", 2)
    ada = await member(identity)
    texts = [(await generate_key(identity, ada))[1] for _ in range(3)]
    for text in texts:
        await identity.authenticator.authenticate(text)
    counting.reads = 0

    await identity.authenticator.authenticate(texts[1])
    await identity.authenticator.authenticate(texts[2])
    assert 0 == counting.reads
    await identity.authenticator.authenticate(texts[0])
    assert 1 == counting.reads
    assert 2 == len(identity.authenticator._known)


async def test_use_is_noted_once_a_minute_for_all_keys(
    identity: Identity, counting: Counting, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first use is written at once, later ones together after a pause, and then nothing."""
    monkeypatch.setattr(authentication, "NOTE_INTERVAL_S", 0.6)
    ada = await member(identity)
    texts = [(await generate_key(identity, ada))[1] for _ in range(5)]
    counting.writes = 0
    for _ in range(10):
        time.seconds += 1
        for text in texts:
            await identity.authenticator.authenticate(text)
    assert 1 == counting.writes

    async with asyncio.timeout(20):
        last_used = {"2027-01-15T08:00:10.000000Z"}
        while last_used != {
            key["last_used_at"] for key in (await list_keys(identity, SYSTEM)).items
        }:
            await asyncio.sleep(0.01)
    assert 2 == counting.writes
    await asyncio.sleep(0.7)
    assert 2 == counting.writes
    await identity.close()
    assert 2 == counting.writes


async def test_closing_writes_the_last_use(identity: Identity, time: Time) -> None:
    """What was noted within the minute is not lost when the server stops."""
    _, text = await new_key(identity)
    await identity.authenticator.authenticate(text)
    time.seconds += 30
    await identity.authenticator.authenticate(text)

    await identity.close()

    assert "2027-01-15T08:00:30.000000Z" == await last_used(identity)
    await identity.close()


async def test_a_look_up_compares_the_digest(
    counting: Counting, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is not the one asked for opens nothing."""
    authenticator = Authenticator(cast("Database", counting), now_us=time.now_us)
    row: dict[str, Param] = {"digest": "0" * 64, "expires_at": None}
    monkeypatch.setattr(ApiKeys, "holder", lambda _self, _digest: row)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(tokens.new_key().text)
