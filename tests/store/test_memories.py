"""The contract of the repositories of memories, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.errors import Conflict
from appliance.store.database import Database, Param, Transaction
from appliance.store.memories import MemoryKeys, MemoryMessages, MemoryOperations

from .test_runs import Columns


def key(name: str = "k", **more: Param) -> Columns:
    """Return the columns of a key of the memory `m`."""
    return {
        "memory_ref": "m",
        "key": name,
        "message_count": 3,
        "token_count": 15,
        "last_position": 10,
        "written_at": 2**53 + 1,
        "flushed_at": None,
        "expires_at": None,
        **more,
    }


def message(position: int, **more: Param) -> Columns:
    """Return the columns of a message."""
    row: Columns = {"role": "user", "content": f'"ünï \\u0000 {position}"', "tokens": 5}
    return {"position": position, **row, **more}


@pytest.fixture
def stored(db: Database) -> Database:
    """A key with messages at 2, 3 and 10, which were not written in this order."""

    def work(tx: Transaction) -> None:
        MemoryKeys(tx).put(key())
        rows = [message(10), message(2, role="system"), message(3)]
        MemoryMessages(tx, "m", "k").insert(rows)

    db.write(work).result()
    return db


def positions(db: Database, name: str = "k") -> list[Any]:
    rows = db.read(lambda tx: MemoryMessages(tx, "m", name).weights(99)).result()
    return [row["position"] for row in rows]


def test_a_key_comes_back_as_it_was_put(stored: Database) -> None:
    """Every column; to put it again changes it."""
    row = stored.read(lambda tx: MemoryKeys(tx).get("m", "k")).result()
    assert row is not None
    assert key() == dict(row)
    changed = key(message_count=1, token_count=2, last_position=3, written_at=4, flushed_at=5, expires_at=6)  # fmt: skip
    stored.write(lambda tx: MemoryKeys(tx).put(changed)).result()
    row = stored.read(lambda tx: MemoryKeys(tx).get("m", "k")).result()
    assert row is not None
    assert changed == dict(row)
    assert stored.read(lambda tx: MemoryKeys(tx).get("other", "k")).result() is None


def test_messages_come_in_order(stored: Database) -> None:
    """By position, not by the time they were stored, to the letter, a part at a time."""
    rows = stored.read(lambda tx: MemoryMessages(tx, "m", "k").part(limit=2, offset=1)).result()
    assert [('"ünï \\u0000 3"', "user"), ('"ünï \\u0000 10"', "user")] == [
        (row["content"], row["role"]) for row in rows
    ]
    rows = stored.read(lambda tx: MemoryMessages(tx, "m", "k").weights(2)).result()
    assert [(2, 5), (3, 5)] == [(row["position"], row["tokens"]) for row in rows]
    rows = stored.read(lambda tx: MemoryMessages(tx, "m", "k").by_role()).result()
    assert [("system", 1, 5), ("user", 2, 10)] == [
        (row["role"], row["message_count"], row["token_count"]) for row in rows
    ]


def test_messages_are_removed(stored: Database) -> None:
    """Some, the oldest, or all with their key; those of another key stay."""

    def copy(tx: Transaction) -> None:
        MemoryKeys(tx).put(key("copy"))
        MemoryMessages(tx, "m", "k").copy("copy")

    stored.write(copy).result()
    stored.write(lambda tx: MemoryMessages(tx, "m", "k").delete([3, 10, 99])).result()
    assert ([2], [2, 3, 10]) == (positions(stored), positions(stored, "copy"))
    stored.write(lambda tx: MemoryMessages(tx, "m", "copy").delete_through(3)).result()
    assert [10] == positions(stored, "copy")
    stored.write(lambda tx: MemoryKeys(tx).delete("m", "copy")).result()
    assert ([2], []) == (positions(stored), positions(stored, "copy"))


def test_a_message_needs_its_key_and_a_place(stored: Database) -> None:
    """Of a key that is not there, and at a place that is taken, nothing is stored."""
    for name, position in (("nobody", 1), ("k", 3)):
        with pytest.raises(Conflict):
            stored.write(
                lambda tx, n=name, p=position: MemoryMessages(tx, "m", n).insert([message(p)])  # type: ignore[misc]
            ).result()
    assert [2, 3, 10] == positions(stored)


def test_keys_are_listed_and_counted(db: Database) -> None:
    """By key, without those whose time is over, memory by memory."""
    rows = [key("b"), key("a"), key("late", expires_at=5), key("c", expires_at=6)]
    rows.append(key("z", memory_ref="n"))
    for row in rows:
        db.write(lambda tx, row=row: MemoryKeys(tx).put(row)).result()  # type: ignore[misc]

    def page(after: str, limit: int) -> list[Any]:
        found = db.read(lambda tx: MemoryKeys(tx).page("m", after=after, now=5, limit=limit))
        return [row["key"] for row in found.result()]

    assert ["a", "b"] == page("", 2)
    assert ["c"] == page("b", 2)
    totals = db.read(lambda tx: MemoryKeys(tx).totals(5)).result()
    assert {"m": (3, 9, 45), "n": (1, 3, 15)} == {
        row["memory_ref"]: (row["key_count"], row["message_count"], row["token_count"])
        for row in totals
    }


def test_expired_keys_go_some_at_a_time(db: Database) -> None:
    """With their messages, of whatever memory."""

    def prepare(tx: Transaction) -> None:
        for name, until in (("a", 1), ("b", 2), ("c", 3), ("d", None)):
            MemoryKeys(tx).put(key(name, expires_at=until))
            MemoryMessages(tx, "m", name).insert([message(1)])

    db.write(prepare).result()
    removed = [db.write(lambda tx: MemoryKeys(tx).delete_expired(2, 1)).result() for _ in range(3)]
    assert [1, 1, 0] == removed
    assert [[], [], [1], [1]] == [positions(db, name) for name in "abcd"]


def test_an_operation_is_noted_once(db: Database) -> None:
    """The second note is refused, so two writers cannot both have been the first."""
    row: Columns = {"caller": "run", "number": 1, "request": "", "result": "{}", "applied_at": 1}
    db.write(lambda tx: MemoryOperations(tx).insert(row)).result()
    with pytest.raises(Conflict):
        db.write(lambda tx: MemoryOperations(tx).insert({**row, "result": "[]"})).result()
    found = db.read(lambda tx: MemoryOperations(tx).get("run", 1)).result()
    assert found is not None
    assert {"request": "", "result": "{}"} == dict(found)
    assert db.read(lambda tx: MemoryOperations(tx).get("run", 2)).result() is None
