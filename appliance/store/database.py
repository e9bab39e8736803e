"""The contract of a database: two verbs, `read` and `write`, over queries that have names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Param = str | int | float | bytes | bool | None
Row = Mapping[str, Any]


class Transaction(Protocol):
    """What a piece of work may do. Queries are addressed by the name they have in a `.sql` file."""

    def run(self, query: str, **params: Param) -> int:
        """Execute a query and return the number of rows it changed."""
        ...

    def many(self, query: str, rows: Iterable[Mapping[str, Param]]) -> int:
        """Execute a query once for each row and return the number of rows changed in all."""
        ...

    def one(self, query: str, **params: Param) -> Row | None:
        """Return the first row, or None."""
        ...

    def all(self, query: str, **params: Param) -> list[Row]:
        """Return every row."""
        ...


Work = Callable[[Transaction], T]


class Database(Protocol):
    """A database that is open. One implementation serves threads and asyncio: verbs return futures.

    Work is a plain function of a Transaction and does no other I/O, so that it can be batched with
    other work and repeated. Futures fail with the errors of `appliance.errors`, never a driver's.
    """

    driver: str
    """`sqlite` or `postgres`."""

    def read(self, work: Work[T], *, scan: bool = False) -> Future[T]:
        """Run *work* on a snapshot that cannot write. Say `scan` when it may take over a millisecond.

        Where a read is cheap (SQLite, no scan) the future is done when it is returned.
        """
        ...

    def write(self, work: Work[T]) -> Future[T]:
        """Run *work* in a transaction. The future is done only when the commit is durable.

        Work may be run more than once, each time in a fresh transaction, until one commits.

        Raises (through the future): Conflict, VersionConflict, StorageFull, StorageBroken,
        Unavailable, OutcomeUnknown, Overloaded, or what *work* raised itself (rolled back).
        """
        ...

    def close(self) -> None:
        """Finish the writes that were accepted, then close. Calling it twice is harmless."""
        ...
