"""How a password becomes a session, and what a guesser meets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from appliance.errors import InvalidInput, TooManyRequests, Unauthorized, Unavailable
from appliance.operations import passwords
from appliance.operations.actors import SYSTEM, Actor
from appliance.operations.audit import list_audit
from appliance.operations.identity import Identity
from appliance.operations.logins import SESSION_US, login, logout
from appliance.operations.users import delete_user, update_user
from appliance.store.database import Transaction
from appliance.store.users import Users

from .people import PASSWORD, Time, member

pytestmark = pytest.mark.anyio
HOME = "192.0.2.1"


async def fail(identity: Identity, email: str, address: str = HOME) -> None:
    with pytest.raises(Unauthorized, match="email address or the password is wrong"):
        await login(identity, email=email, password="wrong password", address=address)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The hashes that passwords were checked against."""
    made: list[str | None] = []
    verify: Callable[[str | None, str], bool] = passwords.verify

    def counting(hashed: str | None, password: str) -> bool:
        made.append(hashed)
        return verify(hashed, password)

    monkeypatch.setattr(passwords, "verify", counting)
    return made


async def test_the_right_password_begins_a_session(identity: Identity, time: Time) -> None:
    """The token authenticates its user for twelve hours, however the address is typed."""
    ada = await member(identity, role="admin", password=PASSWORD)

    begun = await login(identity, email="ADA@example.com", password=PASSWORD, address=HOME)

    assert Actor(ada.user_id, ada.email, "admin") == begun.actor
    assert time.now_us() + SESSION_US == begun.expires_at_us
    assert begun.actor == await identity.authenticator.authenticate(begun.token)
    time.seconds += 12 * 3600 - 1
    assert begun.actor == await identity.authenticator.authenticate(begun.token)
    time.seconds += 1
    with pytest.raises(Unauthorized, match="expired"):
        await identity.authenticator.authenticate(begun.token)


async def test_known_and_unknown_look_the_same(
    identity: Identity, checks: list[str | None]
) -> None:
    """Wrong password, no password, no such user: one check of a hash and one sentence each."""
    await member(identity, password=PASSWORD)
    await member(identity, "keys-only@example.com")

    for email in ("ada@example.com", "keys-only@example.com", "nobody@example.com"):
        checks.clear()
        await fail(identity, email)
        assert 1 == len(checks)


async def test_what_cannot_be_a_login_costs_no_check(
    identity: Identity, checks: list[str | None]
) -> None:
    """A text that is no address, and a password no user can have, are refused before."""
    with pytest.raises(InvalidInput):
        await login(identity, email="ada", password=PASSWORD, address=HOME)
    with pytest.raises(InvalidInput):
        await login(identity, email="ada@example.com", password="x" * 1025, address=HOME)
    assert [] == checks


async def test_guessing_is_slowed_for_known_and_unknown_alike(
    identity: Identity, time: Time, checks: list[str | None]
) -> None:
    """The sixth failure makes the account wait from everywhere, whether it exists or not."""
    await member(identity, password=PASSWORD)

    for email in ("ada@example.com", "nobody@example.com"):
        for n in range(6):
            await fail(identity, email, f"10.0.0.{n}")
        checks.clear()
        with pytest.raises(TooManyRequests) as refusal:
            await login(identity, email=email, password=PASSWORD, address="10.0.1.1")
        assert 1 == refusal.value.details["retry_after"]
        assert [] == checks
    time.seconds += 1
    await login(identity, email="ada@example.com", password=PASSWORD, address="10.0.1.1")


async def test_a_burst_of_guesses_is_checked_no_more_often(
    identity: Identity, checks: list[str | None]
) -> None:
    """Guesses at the same time do not get past the delay."""
    await member(identity, password=PASSWORD)
    guesses = [
        login(identity, email="ada@example.com", password=f"wrong {n:04}", address=f"10.0.0.{n}")
        for n in range(50)
    ]

    outcomes = await asyncio.gather(*guesses, return_exceptions=True)

    assert 6 == len(checks) == sum(isinstance(outcome, Unauthorized) for outcome in outcomes)
    assert 44 == sum(isinstance(outcome, TooManyRequests) for outcome in outcomes)


async def test_success_starts_the_count_again(identity: Identity) -> None:
    """Five slips before each right password never make one wait."""
    ada = await member(identity, password=PASSWORD)

    for n in range(3):
        for _ in range(5):
            await fail(identity, ada.email, f"10.0.0.{n}")
        await login(identity, email=ada.email, password=PASSWORD, address=f"10.0.0.{n}")


async def test_a_failing_database_slows_nobody(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts that could not be decided do not count as guesses."""
    ada = await member(identity, password=PASSWORD)

    async def unavailable(_work: object) -> None:
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(identity, "read", unavailable)
        for _ in range(10):
            with pytest.raises(Unavailable):
                await login(identity, email=ada.email, password=PASSWORD, address=HOME)
    await login(identity, email=ada.email, password=PASSWORD, address=HOME)


async def test_logins_are_on_record(identity: Identity) -> None:
    """Each decided attempt leaves one entry, with address and without password; a refusal none."""
    ada = await member(identity, password=PASSWORD)
    await login(identity, email=ada.email, password=PASSWORD, address=HOME)
    for _ in range(20):
        with pytest.raises((Unauthorized, TooManyRequests)):
            await login(identity, email="Eve@example.com", password="wrong password", address=HOME)

    failed = (await list_audit(identity.db, SYSTEM, action="login.failed")).items
    assert [("", "eve@example.com", {"address": HOME})] * 6 == [
        (entry["actor"], entry["subject"], entry["details"]) for entry in failed
    ]
    succeeded = (await list_audit(identity.db, SYSTEM, action="login.succeeded")).items
    assert [(ada.user_id, {"address": HOME})] == [
        (entry["actor"], entry["details"]) for entry in succeeded
    ]
    assert "wrong password" not in str(failed)


async def test_logging_out_ends_the_session_at_once(identity: Identity) -> None:
    """The next request is refused, another session of the user is not, and twice is fine."""
    await member(identity, password=PASSWORD)
    first, second = [
        await login(identity, email="ada@example.com", password=PASSWORD, address=HOME)
        for _ in range(2)
    ]
    await identity.authenticator.authenticate(first.token)

    await logout(identity, first.token)
    await logout(identity, first.token)

    with pytest.raises(Unauthorized):
        await identity.authenticator.authenticate(first.token)
    await identity.authenticator.authenticate(second.token)


@pytest.mark.parametrize("change", ["password", "removal"])
async def test_a_change_during_the_check_wins(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A login that was checked against what is no longer true begins no session."""
    ada = await member(identity, password=PASSWORD)

    async def verify(_hashed: str | None, _password: str) -> bool:
        if change == "password":
            await update_user(identity, SYSTEM, ada.user_id, password="another one")
        else:
            await delete_user(identity, SYSTEM, ada.user_id)
        return True

    monkeypatch.setattr(identity.passwords, "verify", verify)
    with pytest.raises(Unauthorized):
        await login(identity, email=ada.email, password=PASSWORD, address=HOME)
    assert [] == (await list_audit(identity.db, SYSTEM, action="login.succeeded")).items


async def test_an_outdated_hash_is_renewed(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login writes the hash again with the costs of today, and the password stays the same."""
    ada = await member(identity, password=PASSWORD)

    async def stored() -> str:
        row = await identity.read(lambda tx: Users(tx).find(ada.email))
        assert row is not None
        return str(row["password_hash"])

    before = await stored()
    await login(identity, email=ada.email, password=PASSWORD, address=HOME)
    assert before == await stored()

    monkeypatch.setattr(passwords, "outdated", lambda _hashed: True)
    await login(identity, email=ada.email, password=PASSWORD, address=HOME)
    assert before != await stored()
    await login(identity, email=ada.email, password=PASSWORD, address=HOME)


async def test_expired_sessions_do_not_pile_up(identity: Identity, time: Time) -> None:
    """Every login sweeps out the sessions of everybody that are over."""

    def count(tx: Transaction) -> int:
        return tx.run("delete_expired_sessions", now=2**62)

    await member(identity, password=PASSWORD)
    for _ in range(3):
        await login(identity, email="ada@example.com", password=PASSWORD, address=HOME)
    time.seconds += SESSION_US / 1_000_000
    await login(identity, email="ada@example.com", password=PASSWORD, address=HOME)

    assert 1 == await identity.add(count)


async def test_tokens_are_not_in_the_database(identity: Identity) -> None:
    """A stolen copy of the database opens no session."""
    await member(identity, password=PASSWORD)
    begun = await login(identity, email="ada@example.com", password=PASSWORD, address=HOME)

    entries = await list_audit(identity.db, SYSTEM)
    assert begun.token[13:-6] not in str(entries)
