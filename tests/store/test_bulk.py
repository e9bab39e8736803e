"""Many rows at once: in few statements, and as if it had been one after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from appliance.store.bulk import SIZES, as_values, one_by_one
from appliance.store.database import Param

INSERT = "INSERT INTO t (a, b) VALUES (:a, coalesce(:b, 'none')) ON CONFLICT (a) DO NOTHING"
UPDATE = """UPDATE t SET b = fresh.b
FROM (WITH fresh (a, b) AS (VALUES (:a, :b)) SELECT * FROM fresh) AS fresh
WHERE t.a = fresh.a"""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        yield opened


def content(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return connection.execute("SELECT a, b FROM t ORDER BY a").fetchall()


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63, 64, 65, 200])
def test_every_row_is_stored_once(connection: sqlite3.Connection, count: int) -> None:
    """Whatever the number: all rows, each with its own values, and the right count of changes."""
    rows: list[dict[str, Param]] = [
        {"b": f"text {n}" if n % 2 else None, "a": n, "more": "unused"} for n in range(count)
    ]
    assert count == as_values(connection, INSERT, rows).rowcount
    assert [(n, f"text {n}" if n % 2 else "none") for n in range(count)] == content(connection)
    again: list[dict[str, Param]] = [{"a": row["a"], "b": "new"} for row in rows]
    assert count == as_values(connection, UPDATE, again).rowcount
    assert [(n, "new") for n in range(count)] == content(connection)


def test_what_was_not_changed_is_not_counted(connection: sqlite3.Connection) -> None:
    """The count tells a caller that a row was changed by somebody else before."""
    as_values(connection, INSERT, [{"a": 1, "b": "x"}])
    rows: list[dict[str, Param]] = [{"a": 1, "b": "y"}, {"a": 2, "b": "z"}]
    assert as_values(connection, INSERT, rows).rowcount == 1
    assert as_values(connection, UPDATE, [{"a": 3, "b": "y"}]).rowcount == 0


def test_few_statements_do_it(connection: sqlite3.Connection) -> None:
    """A batch is one or two calls of the driver, whatever its size, and texts are used again."""
    texts: list[str] = []
    connection.set_trace_callback(texts.append)
    for count in (1, 16, 48, 64, 80):
        texts.clear()
        as_values(connection, INSERT, [{"a": n, "b": "x"} for n in range(count)])
        assert len([text for text in texts if text.startswith("INSERT")]) <= 2, count
    assert sum(SIZES) < 300, "each size is a prepared statement of that many rows"


@pytest.mark.parametrize(
    "text",
    ["DELETE FROM t WHERE a = :a", "UPDATE t SET b = :b WHERE a = :a"],
)
def test_what_has_no_row_of_values_goes_one_by_one(
    connection: sqlite3.Connection, text: str
) -> None:
    """A text is executed as often as there are rows."""
    as_values(connection, INSERT, [{"a": n, "b": "x"} for n in range(3)])
    rows: list[dict[str, Param]] = [{"a": n, "b": "y"} for n in range(3)]
    assert as_values(connection, text, rows).rowcount == 3
    assert one_by_one(connection, text, rows).rowcount == 3 * (text[:6] == "UPDATE")
