"""Logins: a password for a session of twelve hours. Guessing is slow and learns nothing."""

from __future__ import annotations

from typing import NamedTuple

from appliance import clock
from appliance.errors import ApplianceError, Unauthorized
from appliance.operations import audit, emails, passwords, tokens
from appliance.operations.actors import NOBODY, Actor
from appliance.operations.identity import Identity
from appliance.operations.tokens import Token
from appliance.store.database import Row, Transaction
from appliance.store.sessions import Sessions
from appliance.store.users import Users

SESSION_US = 12 * 3600 * clock.MICROSECONDS
_WRONG = "The email address or the password is wrong."


class Login(NamedTuple):
    """A session that has begun. `token` is shown once; `expires_at_us` is since the epoch."""

    actor: Actor
    token: str
    expires_at_us: int


async def login(identity: Identity, *, email: str, password: str, address: str) -> Login:
    """Begin a session for the user with this password, who comes from the network *address*.

    Raises Unauthorized, the same and as late for an unknown address, a user without a password and
    a wrong password; TooManyRequests with `retry_after` in seconds; InvalidInput for what cannot be
    an email address or a password.
    """
    account = emails.key(email)
    passwords.check_size(password)
    attempt = identity.throttle.admit(account, address)
    try:
        begun = await _attempt(identity, account, password, address)
    except Unauthorized:
        raise
    except ApplianceError:
        identity.throttle.withdraw(attempt)
        raise
    identity.throttle.succeeded(attempt)
    return begun


async def logout(identity: Identity, token: str) -> None:
    """End the session of *token*; one that has ended already is fine."""
    digest = tokens.digest(token)
    await identity.change(lambda tx: Sessions(tx).delete(digest))


async def _attempt(identity: Identity, account: str, password: str, address: str) -> Login:
    found = await identity.read(lambda tx: Users(tx).find(account))
    hashed = None if found is None else found["password_hash"]
    verified = await identity.passwords.verify(hashed, password)
    if found is None or hashed is None or not verified:
        await _note_failure(identity, account, address)
        raise Unauthorized(_WRONG)
    return await _begin(identity, found, hashed, password, address)


async def _begin(identity: Identity, user: Row, hashed: str, password: str, address: str) -> Login:
    renewed = await identity.passwords.hash(password) if passwords.outdated(hashed) else hashed
    session = tokens.new_session()
    actor = Actor(user["id"], user["email"], user["role"])

    def work(tx: Transaction) -> int:
        # Somebody may have changed the password, or removed the user, since it was checked.
        if not Users(tx).renew_password(actor.user_id, current=hashed, renewed=renewed):
            raise Unauthorized(_WRONG)
        return _insert(tx, actor, session, identity.now_us(), address)

    return Login(actor, session.text, await identity.add(work))


def _insert(tx: Transaction, actor: Actor, session: Token, now: int, address: str) -> int:
    sessions = Sessions(tx)
    sessions.delete_expired(now)
    sessions.insert(session.digest, actor.user_id, created_at=now, expires_at=now + SESSION_US)
    audit.record(tx, actor, "login.succeeded", actor.user_id, {"address": address})
    return now + SESSION_US


async def _note_failure(identity: Identity, account: str, address: str) -> None:
    await identity.add(
        lambda tx: audit.record(tx, NOBODY, "login.failed", account, {"address": address})
    )
