"""A transaction that is under way: named queries on the connection of either driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

from appliance import clock
from appliance.errors import ApplianceError
from appliance.store import faults
from appliance.store.bulk import Bulk, Changed, Rows, one_by_one
from appliance.store.database import Observer, Param, Part, Row, T, Work

Translate = Callable[[Exception], ApplianceError]

_changed = attrgetter("rowcount")
_first = methodcaller("fetchone")
_every = methodcaller("fetchall")


class Much(NamedTuple):
    """How a driver does things with many rows: store them, and give a cursor that holds but a few."""

    store: Bulk = one_by_one
    stream: Callable[[Any], Any] = methodcaller("cursor")
    pipeline: Callable[[Any], AbstractContextManager[Any]] = nullcontext
    """What is executed in it waits for its answers at the end only."""


MUCH = Much()


class OpenTransaction:
    """One piece of work at the database. Implements `Transaction` for both drivers."""

    __slots__ = ("_connection", "_failure", "_much", "_observe", "_statements", "_translate")

    def __init__(
        self,
        connection: Any,
        statements: Mapping[str, Any],
        translate: Translate,
        observe: Observer | None = None,
        much: Much = MUCH,
    ) -> None:
        self._connection = connection
        self._much = much
        self._statements = statements
        self._translate = translate
        self._observe = observe
        self._failure: ApplianceError | None = None

    def run(self, query: str, /, **params: Param) -> int:
        """Execute a query and return the number of rows it changed."""
        changed: int = self._ask(query, params, _changed)
        return changed

    def many(self, query: str, rows: Iterable[Mapping[str, Param]], /) -> int:
        """Execute a query for every row and return the number of rows changed in all."""
        (changed,) = self.together(query, (query, rows))
        return changed

    def together(self, name: str, *parts: Part) -> list[int]:
        """Execute each query for its rows; return how many rows each changed. See `Transaction`."""
        checked = [(query, list(map(faults.check, rows))) for query, rows in parts]
        if not any(rows for _, rows in checked):
            return [0] * len(parts)
        changed = self._attempt(name, lambda: self._send(checked))
        return [0 if found is None else found.rowcount for found in changed]

    def _send(self, parts: Iterable[tuple[str, Rows]]) -> list[Changed | None]:
        with self._much.pipeline(self._connection):
            return [
                self._much.store(self._connection, self._statements[query], rows) if rows else None
                for query, rows in parts
            ]

    def one(self, query: str, /, **params: Param) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self._ask(query, params, _first)
        return row

    def all(self, query: str, /, **params: Param) -> list[Row]:
        """Return every row."""
        rows: list[Row] = self._ask(query, params, _every)
        return rows

    def each(self, query: str, /, **params: Param) -> Iterator[Row]:
        """Yield every row; few of them are in memory at a time."""
        cursor = self._much.stream(self._connection)
        try:
            text, values = self._statements[query], faults.check(params)
            yield from self._attempt(query, lambda: iter(cursor.execute(text, values)))
        except ApplianceError:
            raise
        except Exception as error:
            raise self._failed(query, error) from error
        finally:
            cursor.close()

    def do(self, work: Work[T]) -> T:
        """Run *work*. An error of a query ends it, even if *work* caught the error."""
        result = work(self)
        if self._failure is not None:
            raise self._failure
        return result

    def _ask(self, query: str, params: Mapping[str, Param], take: Callable[[Any], Any]) -> Any:
        text, values = self._statements[query], faults.check(params)
        return self._attempt(query, lambda: take(self._connection.execute(text, values)))

    def _attempt(self, name: str, action: Callable[[], T]) -> T:
        if self._failure is not None:
            raise self._failure
        observe = self._observe
        started = clock.monotonic() if observe else 0.0
        try:
            result = action()
        except Exception as error:
            if observe:
                observe(name, clock.monotonic() - started, False)
            raise self._failed(name, error) from error
        if observe:
            observe(name, clock.monotonic() - started, True)
        return result

    def _failed(self, name: str, error: Exception) -> ApplianceError:
        self._failure = self._translate(error)
        self._failure.details["query"] = name
        return self._failure
