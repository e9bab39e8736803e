"""One query for many rows, in few calls of a driver.

After each call the writer has to wait for the interpreter, so a call for each row would make it the
slower, the busier the event loop is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from appliance.store.database import Param

Rows = Sequence[Mapping[str, Param]]


class Changed(Protocol):
    """Tells, once the database has answered, how many rows were changed."""

    @property
    def rowcount(self) -> int:
        """The number of rows."""
        ...


Bulk = Callable[[Any, Any, Rows], Changed]
"""Executes a text for all rows on a connection."""

SIZES = (64, 32, *range(16, 0, -1))
"""Rows of one statement. Each size is a statement of its own, which is kept prepared."""

_VALUES = re.compile(r"\bVALUES\s*(\((?:[^()]|\([^()]*\))*\))")
_PARAMETER = re.compile(r":([a-z_]\w*)")


class Repeated(NamedTuple):
    """A text with one row of values, which can be there many times; `pick` takes them from a row."""

    before: str
    row: str
    pick: Callable[[Mapping[str, Param]], tuple[Param, ...]]
    after: str


class Counted(NamedTuple):
    """A number of rows that is known."""

    rowcount: int


def one_by_one(connection: Any, text: Any, rows: Rows) -> Changed:
    """Execute the text once for each row."""
    cursor = connection.cursor()
    cursor.executemany(text, rows)
    changed: Changed = cursor
    return changed


def as_values(connection: Any, text: str, rows: Rows) -> Changed:
    """Execute a text of SQLite with a row of values for each row, or one by one if it has none."""
    repeated = _repeated(text)
    if repeated is None:
        return one_by_one(connection, text, rows)
    changed = 0
    for some in _parts(rows):
        values = [*chain.from_iterable(map(repeated.pick, some))]
        changed += connection.execute(_text(repeated, len(some)), values).rowcount
    return Counted(changed)


def as_rows(connection: Any, text: bytes, rows: Rows) -> Changed:
    """Execute a text of PostgreSQL with the parameter `rows`, for `json_to_recordset`.

    One that has no such parameter is executed one by one.
    """
    if b"%(rows)s" not in text:
        return one_by_one(connection, text, rows)
    cursor: Changed = connection.execute(text, {"rows": msgspec.json.encode(rows).decode()})
    return cursor


def _parts(rows: Rows) -> Iterator[Rows]:
    begin = 0
    while left := len(rows) - begin:
        size = next(size for size in SIZES if size <= left)
        yield rows[begin : begin + size]
        begin += size


@cache
def _repeated(text: str) -> Repeated | None:
    found = _VALUES.search(text)
    if found is None:
        return None
    before, row, after = text[: found.start(1)], found[1], text[found.end(1) :]
    names = _PARAMETER.findall(row)
    if len(names) < 2 or _PARAMETER.search(before + after):
        return None
    return Repeated(before, _PARAMETER.sub("?", row), itemgetter(*names), after)


@cache
def _text(repeated: Repeated, times: int) -> str:
    return repeated.before + ", ".join([repeated.row] * times) + repeated.after
