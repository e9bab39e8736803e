"""A transaction that is under way: named queries on the connection of either driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

from appliance import clock
from appliance.errors import ApplianceError
from appliance.store import faults
from appliance.store.bulk import Bulk, one_by_one
from appliance.store.database import Observer, Param, Row, T, Work

Translate = Callable[[Exception], ApplianceError]

_changed = attrgetter("rowcount")
_first = methodcaller("fetchone")
_every = methodcaller("fetchall")


class Much(NamedTuple):
    """How a driver does things with many rows: store them, and give a cursor that holds but a few."""

    store: Bulk = one_by_one
    stream: Callable[[Any], Any] = methodcaller("cursor")


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
        checked = list(map(faults.check, rows))
        if not checked:
            return 0
        execute = partial(self._much.store, self._connection.cursor())
        changed: int = self._attempt(query, execute, checked, lambda changed: changed)
        return changed

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
            yield from self._attempt(query, cursor.execute, faults.check(params), iter)
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
        return self._attempt(query, self._connection.execute, faults.check(params), take)

    def _attempt(
        self, query: str, execute: Callable[..., Any], values: Any, take: Callable[[Any], Any]
    ) -> Any:
        if self._failure is not None:
            raise self._failure
        text = self._statements[query]
        observe = self._observe
        started = clock.monotonic() if observe else 0.0
        try:
            result = take(execute(text, values))
        except Exception as error:
            if observe:
                observe(query, clock.monotonic() - started, False)
            raise self._failed(query, error) from error
        if observe:
            observe(query, clock.monotonic() - started, True)
        return result

    def _failed(self, query: str, error: Exception) -> ApplianceError:
        self._failure = self._translate(error)
        self._failure.details["query"] = query
        return self._failure
