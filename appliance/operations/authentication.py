"""Authentication: from the text of a key or session token to the actor behind it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import NamedTuple

from appliance import clock
from appliance.errors import Unauthorized
from appliance.operations import tokens
from appliance.operations.actors import Actor, least
from appliance.store.api_keys import ApiKeys
from appliance.store.database import Database, Row, Transaction, settle
from appliance.store.sessions import Sessions

CAPACITY = 10_000
FRESH_US = clock.MICROSECONDS
"""How long an answer is good. Bounds a revocation on another node; here it takes effect at once."""
NOTE_INTERVAL_S = 60.0


class _Known(NamedTuple):
    actor: Actor
    since: int
    until: int


class Authenticator:
    """Remembers who showed which token. Belongs to one event loop."""

    def __init__(self, db: Database, *, now_us: Callable[[], int] = clock.now_us) -> None:
        self._db = db
        self._now_us = now_us
        self._known: dict[str, _Known] = {}
        self._uses = _Uses(db)

    async def authenticate(self, token: str) -> Actor:
        """Return the actor behind a key or session token, and note that it was used.

        Raises Unauthorized when it is mistyped, unknown, revoked or expired.
        """
        actor = await self.recognise(token)
        if actor.key_id is not None:
            self._uses.note(actor.key_id, self._now_us())
        return actor

    async def recognise(self, token: str) -> Actor:
        """Return the actor behind a token that nobody uses just now. Raises as `authenticate`."""
        digest = tokens.digest(token)
        now = self._now_us()
        known = self._known.get(digest)
        if known is not None and known.since <= now < known.until:
            return known.actor
        return await self._look_up(token, digest, now)

    def forget(self) -> None:
        """Ask the database again for everybody: a user, key or session changed.

        A look-up that is under way goes on with the old dictionary, so it cannot bring back what it
        read before the change.
        """
        self._known = {}

    async def close(self) -> None:
        """Write what is not written yet about the use of keys."""
        await self._uses.close()

    async def _look_up(self, token: str, digest: str, now: int) -> Actor:
        if not tokens.well_formed(token):
            raise Unauthorized("The API key is mistyped or cut off; copy it again as a whole.")
        known = self._known
        holder = await settle(self._db.read(lambda tx: _find(tx, token, digest)))
        if holder is None or not hmac.compare_digest(holder["digest"], digest):
            raise Unauthorized("The API key or session is unknown; it may have been revoked.")
        until = now + FRESH_US
        if holder["expires_at"] is not None:
            until = min(until, holder["expires_at"])
        if until <= now:
            raise Unauthorized("The API key or session has expired; create a new one.")
        actor = _actor(holder)
        _remember(known, digest, _Known(actor, now, until))
        return actor


class _Uses:
    """When keys were used last. Written at most once a minute for all of them together."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._used: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, key_id: str, at: int) -> None:
        self._used[key_id] = at
        if self._timer is None:
            self._write()

    def _write(self) -> None:
        self._timer = None
        if not self._used:
            return
        used, self._used = self._used, {}
        # Nobody waits for this: a note that is lost is made again at the next use.
        self._db.write(lambda tx: ApiKeys(tx).touch(used))
        self._timer = asyncio.get_running_loop().call_later(NOTE_INTERVAL_S, self._write)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        used, self._used = self._used, {}
        if used:
            await settle(self._db.write(lambda tx: ApiKeys(tx).touch(used)))


def _find(tx: Transaction, token: str, digest: str) -> Row | None:
    if tokens.is_session(token):
        return Sessions(tx).holder(digest)
    return ApiKeys(tx).holder(digest)


def _actor(holder: Row) -> Actor:
    role = least(holder["user_role"], holder["key_role"])
    return Actor(holder["user_id"], holder["email"], role, holder["key_id"])


def _remember(known: dict[str, _Known], digest: str, answer: _Known) -> None:
    known.pop(digest, None)
    if len(known) >= CAPACITY:
        del known[next(iter(known))]
    known[digest] = answer
