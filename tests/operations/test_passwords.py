"""How passwords are kept."""

from __future__ import annotations

import asyncio

import pytest

from appliance.errors import InvalidInput, TooManyRequests
from appliance.operations import passwords

from .people import PASSWORD


def test_a_password_is_verified() -> None:
    """The right password passes, another does not, and two hashes of one differ."""
    hashed = passwords.hash_password(PASSWORD)

    assert passwords.verify(hashed, PASSWORD)
    assert not passwords.verify(hashed, PASSWORD + "!")
    assert hashed != passwords.hash_password(PASSWORD)


def test_the_costs_are_those_published() -> None:
    """Argon2id with 19 MiB, two passes and one lane; a hash of our own is never outdated."""
    hashed = passwords.hash_password(PASSWORD)

    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not passwords.outdated(hashed)
    assert passwords.outdated(hashed.replace("t=2", "t=1"))


def test_the_hash_of_nobody_costs_as_much() -> None:
    """A check for somebody unknown has the costs of every other, and never passes."""
    assert not passwords.outdated(passwords._NOBODYS)
    assert not passwords.verify(None, PASSWORD)
    assert not passwords.verify(None, "hello")  # what that hash was made from


def test_composition_does_not_matter() -> None:
    """A letter with an accent is the same password, however the keyboard composes it."""
    assert passwords.verify(passwords.hash_password("caf\u00e9caf\u00e9"), "cafe\u0301cafe\u0301")


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025, "é" * 513])
def test_lengths_are_bounded(password: str) -> None:
    """At least 8 characters, at most 1024 bytes."""
    with pytest.raises(InvalidInput, match="password"):
        passwords.check(password)


@pytest.mark.parametrize("password", ["12345678", "x" * 1024, "é" * 512, "\ud800" * 8, "\0" * 8])
def test_any_text_of_that_length_is_a_password(password: str) -> None:
    """No character is refused, and none breaks the hash."""
    passwords.check(password)
    assert passwords.verify(passwords.hash_password(password), password)


@pytest.mark.anyio
async def test_a_flood_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more checks wait than memory and patience allow; those that were taken are all made."""
    monkeypatch.setattr(passwords, "verify", lambda _hashed, _password: True)
    store = passwords.Passwords()
    checks = [store.verify(None, PASSWORD) for _ in range(passwords.QUEUE + 10)]

    answers = await asyncio.gather(*checks, return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, TooManyRequests)]
    assert 10 == len(refused)
    assert 1 == refused[0].details["retry_after"]
    assert passwords.QUEUE == answers.count(True)
    assert await store.verify(None, PASSWORD)
