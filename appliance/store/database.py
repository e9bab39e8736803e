"""The contract of a database: two verbs, `read` and `write`, over queries that have names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from appliance.errors import ApplianceError

T = TypeVar("T")

Param = str | int | float | bytes | bool | None


class Row(Protocol):
    """A row as both drivers give it: `row["name"]`, `keys()`, and so `dict(row)` and `**row`."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the value of a column."""
        ...

    def keys(self) -> Iterable[str]:
        """Return the names of the columns."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


Part = tuple[str, Iterable[Mapping[str, Param]]]
"""A query and the rows that it is executed for."""


class Transaction(Protocol):
    """What a piece of work may do. Queries are addressed by the name they have in a `.sql` file.

    A query that fails ends the piece, on both databases: what follows in it fails the same way and
    nothing of it is stored, even if *work* caught the error.

    Raises: Conflict, InvalidInput (text with U+0000 or lone surrogates, integers beyond 64 bit,
    NaN), NotSupported (a write inside `read`), and the errors of `Database`.
    """

    def run(self, query: str, /, **params: Param) -> int:
        """Execute a query and return the number of rows it changed."""
        ...

    def many(self, query: str, rows: Iterable[Mapping[str, Param]], /) -> int:
        """Execute a query for every row and return the number of rows changed in all."""
        ...

    def together(self, name: str, *parts: Part) -> list[int]:
        """Execute queries one after the other, each for its rows, without waiting in between.

        Return how many rows each changed. *name* is what the whole is called in metrics and errors.
        """
        ...

    def one(self, query: str, /, **params: Param) -> Row | None:
        """Return the first row, or None."""
        ...

    def all(self, query: str, /, **params: Param) -> list[Row]:
        """Return every row."""
        ...

    def each(self, query: str, /, **params: Param) -> Iterator[Row]:
        """Yield every row; few of them are in memory at a time."""
        ...


Work = Callable[[Transaction], T]

Observer = Callable[[str, float, bool], None]
"""Told the name of a query, the seconds it took and whether it succeeded, on the thread it ran on."""


class Database(Protocol):
    """A database that is open. One implementation serves threads and asyncio: verbs return futures.

    Work is a plain function of a Transaction and does no other I/O, so that it can be batched with
    other work and repeated. Futures fail with the errors of `appliance.errors`, never a driver's.
    """

    driver: str
    """`sqlite` or `postgres`."""

    session: int
    """Names this process to others that are connected; 0 where there can be none."""

    on_broken: list[Callable[[ApplianceError], None]]
    """Called once, on the writer's thread, when the storage failed and no write will succeed again."""

    observe: Observer | None

    def read(self, work: Work[T], *, scan: bool = False) -> Future[T]:
        """Run *work* on a snapshot that cannot write. Say `scan` when it may take over a millisecond.

        Where a read is cheap (SQLite, no scan) the future is done when it is returned.

        Raises (through the future): StorageBroken, Unavailable, or what *work* raised itself.
        """
        ...

    def write(self, work: Work[T]) -> Future[T]:
        """Run *work* in a transaction. The future is done only when the commit is durable.

        Work may be run more than once, each time in a fresh transaction, until one commits. It runs
        alone as far as this process is concerned; what other nodes of a PostgreSQL do meanwhile is
        seen by each statement (READ COMMITTED), so decide by versions, locks and constraints.
        A write that was accepted cannot be cancelled.

        Raises (through the future): Conflict, VersionConflict, StorageFull, StorageBroken,
        Unavailable, OutcomeUnknown, Overloaded, or what *work* raised itself (rolled back).
        """
        ...

    def claim(self, *, alone: bool = False) -> None:
        """Keep others off until it is closed: a server those who want the database *alone*.

        Raises: Locked, DatabaseTooNew for a server that cannot use its schema, Unavailable. A file of
        SQLite is claimed with the directory it is in, so this does nothing there.
        """
        ...

    def statistics(self) -> dict[str, int]:
        """Return what there is to know about connections, queue and files, for metrics."""
        ...

    def close(self) -> None:
        """Finish the writes that were accepted, then close. Calling it twice is harmless.

        Raises: Unavailable when the writer does not stop in time.
        """
        ...


def refused(error: ApplianceError) -> Future[Any]:
    """Return a future that has failed already."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


class _Bell:
    """Wakes an event loop once for all results that came together, not once for each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: list[asyncio.Future[None]] = []

    def ring(self, waiter: asyncio.Future[None]) -> None:
        """Note, on any thread, that *waiter* has what it waits for."""
        with self._lock:
            self._waiters.append(waiter)
            first = len(self._waiters) == 1  # otherwise the loop was called and has not come yet
        if first:
            with suppress(RuntimeError):  # the loop was closed, so nobody waits any more
                waiter.get_loop().call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


_bells: WeakKeyDictionary[asyncio.AbstractEventLoop, _Bell] = WeakKeyDictionary()


async def settle(future: Future[T]) -> T:
    """Wait for *future* without blocking the event loop and return its result.

    Being cancelled stops the waiting, not the work. Raises what the future raises.
    """
    if not future.done():
        loop = asyncio.get_running_loop()
        bell = _bells.get(loop)
        if bell is None:
            bell = _bells[loop] = _Bell()
        waiter = loop.create_future()
        future.add_done_callback(lambda _: bell.ring(waiter))
        await waiter
    return future.result()
