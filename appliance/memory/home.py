"""Homes: a database that memories are kept in, and the tidying that goes with writing to it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import msgspec

from appliance.clock import MICROSECONDS
from appliance.errors import Conflict
from appliance.language.model import Json
from appliance.store.database import Database, Transaction, settle
from appliance.store.memories import MemoryKeys, MemoryOperations

TIDY_EVERY = 200
"""Changes from one tidying to the next."""
TIDY_KEYS = 100
"""Keys that expired and nobody asks for any more, removed at once."""

Change = Callable[[Transaction], dict[str, Json]]


class Once(NamedTuple):
    """Who wants a change to happen once: a run and the number of its task, or a request and 0.

    A second call is answered with the result of the first. Where *request* is not empty it must be
    that of the first call, too.
    """

    caller: str
    number: int
    request: str = ""


class Outcome(NamedTuple):
    """What a change came to; *replayed* when an earlier call did it."""

    answer: dict[str, Json]
    replayed: bool = False


class Home:
    """A database with memories. *remember_s* is how long a request is known, at least."""

    def __init__(self, db: Database, remember_s: int) -> None:
        self.db = db
        self._remember_us = remember_s * MICROSECONDS
        self._turns = count()

    async def change(self, change: Change, now: int, once: Once | None) -> Outcome:
        """Apply *change* in a transaction. Raises Conflict when the request was another one."""
        tidy = next(self._turns) % TIDY_EVERY == 0

        def work(tx: Transaction) -> Outcome:
            if once and (earlier := _earlier(tx, once)):
                return earlier
            outcome = Outcome(change(tx))
            if once:
                MemoryOperations(tx).insert(_row(once, outcome, now))
            if tidy:
                self._tidy(tx, now)
            return outcome

        return await settle(self.db.write(work))

    def _tidy(self, tx: Transaction, now: int) -> None:
        """Remove what nobody will ask for. Whoever changes something does it: nothing polls."""
        MemoryOperations(tx).forget(now - self._remember_us)
        MemoryKeys(tx).delete_expired(now, TIDY_KEYS)


def _earlier(tx: Transaction, once: Once) -> Outcome | None:
    row = MemoryOperations(tx).get(once.caller, once.number)
    if row is None:
        return None
    if row["request"] != once.request:
        raise Conflict(
            "This Idempotency-Key was used for another request; use a new key for a new request."
        )
    return Outcome(msgspec.json.decode(row["result"]), replayed=True)


def _row(once: Once, outcome: Outcome, now: int) -> dict[str, str | int]:
    return {
        "caller": once.caller,
        "number": once.number,
        "request": once.request,
        "result": msgspec.json.encode(outcome.answer).decode(),
        "applied_at": now,
    }
