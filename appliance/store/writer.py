"""The writer of a database: one thread that commits together whatever waits for it.

Batches need no timer. While one commit is on its way to the disk the next batch gathers, so its
size follows the number of callers, and a lone caller waits for nobody.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from appliance.errors import (
    ApplianceError,
    OutcomeUnknown,
    Overloaded,
    StorageBroken,
    StorageFull,
    Unavailable,
)
from appliance.failpoint import failpoint
from appliance.store.database import T, Work, refused
from appliance.store.faults import Transient
from appliance.store.transaction import OpenTransaction

LARGEST_BATCH = 512
LONGEST_QUEUE = 16_384
ATTEMPTS = 4
CLOSE_LIMIT_S = 30.0

# A thread that waits for the interpreter asks for it after this many seconds. The writer waits once
# for each call of a driver; with the usual 5 ms it starves beside a busy event loop: 40 commits a
# second were measured instead of 550.
SWITCH_INTERVAL_S = 1e-4


class Session(Protocol):
    """What a writer needs of a connection. Errors are those of `appliance.errors`.

    Everything but the constructor is called by the writer's thread.
    """

    def begin(self) -> None:
        """Begin a transaction, on a new connection if the last one was lost."""
        ...

    def transaction(self) -> OpenTransaction:
        """Return the transaction that is open, for one piece of work."""
        ...

    def save(self) -> None:
        """Set the savepoint."""
        ...

    def release(self) -> None:
        """Forget the savepoint and keep what happened since."""
        ...

    def restore(self) -> None:
        """Forget the savepoint and undo what happened since it. Raises when the transaction itself is lost."""
        ...

    def commit(self) -> None:
        """Commit. Durable when it returns."""
        ...

    def rollback(self) -> None:
        """Undo everything. Raises nothing."""
        ...

    def rest(self, *, idle: bool) -> float | None:
        """Tidy up between batches; return after how many idle seconds to be called again."""
        ...

    def close(self) -> None:
        """Close the connection. Raises nothing."""
        ...


class Promise(Future[T]):
    """The future of an accepted write, which nobody can take back."""

    def cancel(self) -> bool:
        """Refuse: whoever stops waiting for a write does not stop the write."""
        return False


class Piece(NamedTuple):
    """A piece of work and whom to tell."""

    work: Work[Any]
    promise: Promise[Any]


Outcome = tuple[Any, BaseException | None]


class Writer:
    """Runs work in transactions, one after the other. Methods may be called by any thread."""

    def __init__(self, session: Session, on_broken: Callable[[ApplianceError], None]) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._session = session
        self._on_broken = on_broken
        self._queue: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._broken: StorageBroken | None = None
        self._closed = False
        self._ended = False
        self._gate = threading.Lock()  # nothing may follow the end mark into the queue
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Accept *work*; the future is done when it is durable, or fails as `Database.write` says."""
        promise: Promise[T] = Promise()
        with self._gate:
            refusal = self._refusal()
            if refusal is None:
                self._queue.put(Piece(work, promise))
        return promise if refusal is None else refused(refusal)

    def waiting(self) -> int:
        """Return how many pieces wait."""
        return self._queue.qsize()

    def close(self) -> None:
        """Finish what was accepted and stop. Raises Unavailable when that takes too long."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_LIMIT_S)
            if self._thread.is_alive():
                raise Unavailable(f"The writer did not stop within {CLOSE_LIMIT_S:.0f} s.")

    def _refusal(self) -> ApplianceError | None:
        if self._closed:
            return Unavailable("The database is closed.")
        if self._queue.qsize() >= LONGEST_QUEUE:
            return Overloaded()
        return self._broken

    def _run(self) -> None:
        patience: float | None = None
        try:
            while not self._ended:
                batch = self._next(patience)
                if batch:
                    self._commit(batch)
                patience = self._rest(idle=not batch)
        finally:  # whatever ends this thread, nobody is left waiting for it
            self._session.close()
            with self._gate:
                self._closed = True
            for piece in self._next(patience=0):
                piece.promise.set_exception(Unavailable("The database is closed."))

    def _next(self, patience: float | None) -> list[Piece]:
        """Return all that waits; nothing when nothing came for *patience* seconds or at the end."""
        batch: list[Piece] = []
        with contextlib.suppress(queue.Empty):
            piece = self._queue.get(timeout=patience)
            while piece is not None:
                batch.append(piece)
                if len(batch) == LARGEST_BATCH:
                    return batch
                piece = self._queue.get_nowait()
            self._ended = True
        return batch

    def _commit(self, batch: list[Piece]) -> None:
        was_broken = self._broken
        for (_, promise), (result, error) in zip(batch, self._outcomes(batch), strict=True):
            if error is None:
                promise.set_result(result)
            else:
                promise.set_exception(error)
        if self._broken is not None and was_broken is None:
            self._on_broken(self._broken)

    def _outcomes(self, batch: list[Piece]) -> list[Outcome]:
        """Commit the batch at one go; if a piece fails, do it over so that it fails alone."""
        if self._broken is not None:
            return [(None, self._broken)] * len(batch)
        try:
            return self._transact(batch, self._together)
        except BaseException as error:  # noqa: BLE001 - whatever work raises is for its caller
            failure = error
        if len(batch) > 1 and not isinstance(failure, (OutcomeUnknown, StorageBroken)):
            try:
                return self._transact(batch, self._apart)
            except BaseException as error:  # noqa: BLE001
                failure = error
            if isinstance(failure, StorageFull):  # what is small may still fit
                return [outcome for piece in batch for outcome in self._outcomes([piece])]
        if isinstance(failure, StorageBroken):
            self._broken = failure
        return [(None, failure)] * len(batch)

    def _transact(
        self, batch: list[Piece], body: Callable[[list[Piece]], list[Outcome]]
    ) -> list[Outcome]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._session.begin()
                outcomes = body(batch)
                failpoint("writer.before_commit")
                self._session.commit()
            except BaseException as error:
                self._session.rollback()
                if attempt == ATTEMPTS or not isinstance(error, Transient):
                    raise
            else:
                failpoint("writer.committed")
                return outcomes
        raise AssertionError

    def _together(self, batch: list[Piece]) -> list[Outcome]:
        """Run all pieces; the first error is the error of all, so a good batch pays nothing."""
        return [(self._session.transaction().do(piece.work), None) for piece in batch]

    def _apart(self, batch: list[Piece]) -> list[Outcome]:
        return [self._one(piece) for piece in batch]

    def _one(self, piece: Piece) -> Outcome:
        self._session.save()
        try:
            result = self._session.transaction().do(piece.work)
        except Transient:  # repeat the whole transaction
            raise
        except BaseException as error:  # noqa: BLE001 - whatever work raises is for its caller
            try:
                self._session.restore()
            except ApplianceError:  # the transaction is gone, and with it all other pieces
                raise error from None
            return None, error
        self._session.release()
        return result, None

    def _rest(self, *, idle: bool) -> float | None:
        if self._broken is not None:
            return None
        try:
            return self._session.rest(idle=idle)
        except StorageBroken as error:
            self._broken = error
            self._on_broken(error)
        except ApplianceError:  # tidying up can wait: a full disk, a reader in the way
            pass
        return None
