"""The contract of a database. Every test runs on a SQLite file, in memory and on PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from appliance.config import DatabaseSettings
from appliance.errors import (
    ApplianceError,
    Conflict,
    InvalidInput,
    NotFound,
    NotSupported,
    Overloaded,
    Unavailable,
)
from appliance.store import writer
from appliance.store.database import Database, Transaction, Work, settle
from appliance.store.sqlite_session import MEMORY
from tests.store.conftest import note, open_notes

WAIT_S = 20.0
SHARED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def add(number: int, **changes: Any) -> Work[int]:
    """Return work that adds a note and returns its number."""

    def work(tx: Transaction) -> int:
        tx.run("add_note", **note(number, **changes))
        return number

    return work


def numbers(db: Database) -> list[int]:
    """Return the notes that are there."""
    rows = db.read(lambda tx: tx.all("list_notes")).result(WAIT_S)
    return [row["id"] for row in rows]


@contextmanager
def held(db: Database) -> Iterator[None]:
    """Let the writer wait during the block, so that what is submitted becomes one batch."""
    entered, release = threading.Event(), threading.Event()

    def wait(_: Transaction) -> None:
        entered.set()
        release.wait(WAIT_S)

    future = db.write(wait)
    assert entered.wait(WAIT_S)
    try:
        yield
    finally:
        release.set()
    future.result(WAIT_S)


def together(db: Database, *works: Work[Any]) -> list[Future[Any]]:
    """Submit all works so that they wait at the same time."""
    with held(db):
        return [db.write(work) for work in works]


# --- write


def test_a_write_returns_what_its_work_returns(notes: Database) -> None:
    """The future has the result of the work, and by then others see what was written."""
    assert notes.write(add(1)).result(WAIT_S) == 1
    assert [1] == numbers(notes)


def test_a_write_that_fails_leaves_nothing(notes: Database) -> None:
    """What the work did before it raised is undone, and its own error comes out."""

    def work(tx: Transaction) -> None:
        add(1)(tx)
        raise NotFound("my own")

    with pytest.raises(NotFound, match="my own"):
        notes.write(work).result(WAIT_S)
    assert [] == numbers(notes)


def test_a_piece_that_fails_fails_alone(notes: Database) -> None:
    """Those that share a commit with it are stored, and its own part is not."""

    def bad(tx: Transaction) -> None:
        add(3)(tx)
        raise ValueError("bad")

    first, second, third, fourth = together(notes, add(1), bad, add(2), add(1))
    assert first.result(WAIT_S) == 1
    assert str(second.exception(WAIT_S)) == "bad"
    assert third.result(WAIT_S) == 2
    assert isinstance(fourth.exception(WAIT_S), Conflict)
    assert [1, 2] == numbers(notes)


def test_pieces_see_what_was_written_before_them(notes: Database) -> None:
    """Pieces run in the order they were accepted, even when one between them has to be undone."""

    def count(tx: Transaction) -> int:
        row = tx.one("count_notes")
        assert row is not None
        return int(row["count"])

    def bad(tx: Transaction) -> None:
        add(9)(tx)
        raise ValueError

    futures = together(notes, count, add(1), count, bad, count)
    results = [future.result(WAIT_S) for future in futures if future is not futures[3]]
    assert [0, 1, 1, 1] == results


def test_catching_the_error_of_a_query_does_not_save_the_piece(notes: Database) -> None:
    """PostgreSQL ends a transaction at its first error, so SQLite must not go on either."""

    def work(tx: Transaction) -> str:
        add(1)(tx)
        with pytest.raises(Conflict):
            add(1)(tx)
        with pytest.raises(Conflict):
            add(2)(tx)
        return "done"

    with pytest.raises(Conflict):
        notes.write(work).result(WAIT_S)
    assert [] == numbers(notes)


def test_an_accepted_write_cannot_be_cancelled(notes: Database) -> None:
    """Whoever gives up waiting does not know whether it happened; it does happen."""
    (future,) = together(notes, add(1))
    assert future.cancel() is False
    assert future.result(WAIT_S) == 1


def test_concurrent_writers_do_not_lose_updates(notes: Database) -> None:
    """What a piece reads cannot change before it writes, as far as this process is concerned."""
    notes.write(add(1)).result(WAIT_S)

    def step(tx: Transaction) -> None:
        row = tx.one("get_note", id=1)
        assert row is not None
        tx.run("resize_note", id=1, by=row["size"] + 1 - row["size"])

    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(lambda: notes.write(step).result(WAIT_S)) for _ in range(80)]
        for future in futures:
            future.result(WAIT_S)
    row = notes.read(lambda tx: tx.one("get_note", id=1)).result(WAIT_S)
    assert row is not None
    assert row["size"] == 80


ACTIONS = ("add", "raise", "conflict", "swallow", "dangling", "negative", "nul")


def _piece(action: str, number: int) -> Work[int]:
    def work(tx: Transaction) -> int:
        add(number)(tx)
        if action == "raise":
            raise LookupError
        if action == "conflict":
            add(number)(tx)
        if action == "swallow":
            try:
                add(number)(tx)
            except Conflict:
                return -1
        if action == "dangling":
            add(number + 1000, parent=number + 5000)(tx)
        if action == "negative":
            add(number + 1000, size=-1)(tx)
        if action == "nul":
            add(number + 1000, name="\0")(tx)
        return number

    return work


@given(actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=12))
@example(actions=["add", "swallow", "add"])
@SHARED
def test_a_batch_does_what_its_pieces_would_do_alone(notes: Database, actions: list[str]) -> None:
    """Exactly the pieces that fail by themselves fail, each with its own error."""
    errors = {
        "add": type(None),
        "raise": LookupError,
        "conflict": Conflict,
        "swallow": Conflict,
        "dangling": Conflict,
        "negative": Conflict,
        "nul": InvalidInput,
    }
    base = max(numbers(notes), default=0) + 1
    futures = together(notes, *(_piece(a, base + i) for i, a in enumerate(actions)))
    assert [errors[a] for a in actions] == [type(f.exception(WAIT_S)) for f in futures]
    expected = [base + i for i, action in enumerate(actions) if action == "add"]
    assert expected == [number for number in numbers(notes) if number >= base]


def test_too_many_waiting_writes_are_refused(
    notes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: the next write is refused at once, and those accepted are stored."""
    monkeypatch.setattr(writer, "LONGEST_QUEUE", 3)
    futures = together(notes, *(add(number) for number in range(5)))
    errors = [type(future.exception(WAIT_S)) for future in futures]
    assert [type(None)] * 3 + [Overloaded] * 2 == errors
    assert [0, 1, 2] == numbers(notes)


def test_more_than_one_batch_can_wait(notes: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into a transaction goes into the next."""
    monkeypatch.setattr(writer, "LARGEST_BATCH", 4)
    futures = together(notes, *(add(number) for number in range(11)))
    assert list(range(11)) == [future.result(WAIT_S) for future in futures]
    assert list(range(11)) == numbers(notes)


# --- read


def test_a_read_sees_one_moment(notes: Database, database_settings: DatabaseSettings) -> None:
    """What is written while a read goes on is not seen by it."""
    notes.write(add(1)).result(WAIT_S)
    writes: list[Future[int]] = []

    def work(tx: Transaction) -> tuple[int, int]:
        before = len(tx.all("list_notes"))
        writes.append(notes.write(add(2)))
        if database_settings.path != MEMORY:  # there, reads and writes take turns
            writes[0].result(WAIT_S)
        return before, len(tx.all("list_notes"))

    assert (1, 1) == notes.read(work).result(WAIT_S)
    assert writes[0].result(WAIT_S) == 2
    assert [1, 2] == numbers(notes)


@pytest.mark.parametrize("scan", [False, True])
def test_a_read_cannot_write(notes: Database, *, scan: bool) -> None:
    """The error says so, nothing is stored, and the database goes on."""
    with pytest.raises(NotSupported, match="cannot write"):
        notes.read(add(1), scan=scan).result(WAIT_S)
    assert [] == numbers(notes)
    assert notes.write(add(2)).result(WAIT_S) == 2


@pytest.mark.parametrize("scan", [False, True])
def test_the_error_of_a_read_comes_out(notes: Database, *, scan: bool) -> None:
    """It comes through the future, never from the call itself, and the next read is fine."""

    def work(tx: Transaction) -> None:
        tx.all("list_notes")
        raise NotFound("mine")

    assert "mine" == str(notes.read(work, scan=scan).exception(WAIT_S))
    assert [] == numbers(notes)


def test_reads_go_on_in_many_threads(notes: Database) -> None:
    """Reads of several threads do not disturb each other, nor the writer."""

    def write(number: int) -> int:
        return notes.write(add(number)).result(WAIT_S)

    with ThreadPoolExecutor(6) as threads:
        writes = [threads.submit(write, number) for number in range(30)]
        reads = [threads.submit(numbers, notes) for _ in range(60)]
        for seen in (read.result(WAIT_S) for read in reads):
            assert sorted(set(seen)) == seen
        assert list(range(30)) == [write.result(WAIT_S) for write in writes]
    assert list(range(30)) == numbers(notes)


# --- queries


def test_rows_are_read_by_name(notes: Database) -> None:
    """Both drivers give rows that can be indexed, listed and unpacked by column names."""
    notes.write(add(1, folder="a", size=5)).result(WAIT_S)
    row = notes.read(lambda tx: tx.one("get_note", id=1)).result(WAIT_S)
    assert row is not None
    expected = {"id": 1, "name": "note 1", "folder": "a", "parent": None, "size": 5}
    assert expected == dict(row) == dict(**row)
    assert "note 1" == row["name"]
    assert notes.read(lambda tx: tx.one("get_note", id=2)).result(WAIT_S) is None


def test_text_that_looks_like_parameters_stays_text(notes: Database) -> None:
    """Percent signs and colons in quoted text of a query reach neither driver as parameters."""
    notes.write(add(1)).result(WAIT_S)
    rows = notes.read(lambda tx: tx.all("list_notes")).result(WAIT_S)
    assert ["100 %% :name"] == [row["odd"] for row in rows]


def test_run_and_many_count_changed_rows(notes: Database) -> None:
    """The number decides whether an optimistic update has won, so it must be right."""

    def work(tx: Transaction) -> list[int]:
        return [
            tx.many("add_note", [note(1), note(2), note(3)]),
            tx.many("add_note", []),
            tx.run("resize_note", id=1, by=1),
            tx.run("resize_note", id=7, by=1),
            tx.many("resize_note", ({"id": i, "by": 1} for i in (1, 7, 3))),
        ]

    assert [3, 0, 1, 0, 2] == notes.write(work).result(WAIT_S)


def test_many_is_all_or_nothing(notes: Database) -> None:
    """A row that is refused takes the whole piece with it."""
    rows = [note(1), note(2), note(1)]
    with pytest.raises(Conflict):
        notes.write(lambda tx: tx.many("add_note", rows)).result(WAIT_S)
    assert [] == numbers(notes)


def test_the_observer_is_told_of_every_query(notes: Database) -> None:
    """Metrics count by name, with the time it took and whether it went well."""
    seen: list[tuple[str, bool]] = []

    def observe(name: str, seconds: float, ok: bool) -> None:
        assert seconds >= 0
        seen.append((name, ok))

    notes.observe = observe
    notes.write(add(1)).result(WAIT_S)
    assert [1] == numbers(notes)
    assert isinstance(notes.write(add(1)).exception(WAIT_S), Conflict)
    assert [("add_note", True), ("list_notes", True), ("add_note", False)] == seen


def test_statistics_are_numbers(notes: Database) -> None:
    """Whatever is known can become a metric."""
    found = notes.statistics()
    assert {"connections_open", "writes_waiting"} <= set(found)
    assert all(value >= 0 for value in found.values())


# --- errors


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        (note(1), "notes.id"),
        (note(2, folder="a", name="same"), "notes.folder,name"),
        (note(2, parent=99), "foreign_key"),
        (note(2, size=-1), "check"),
        (note(2, name=None), "not_null"),
    ],
)
def test_a_rule_that_refuses_is_a_conflict_with_its_name(
    notes: Database, row: dict[str, Any], constraint: str
) -> None:
    """The name is the same on both databases, so that callers can decide by it."""
    notes.write(add(1, folder="a", name="same")).result(WAIT_S)
    for _ in range(2):  # the second time the name may come from memory
        error = notes.write(lambda tx: tx.run("add_note", **row)).exception(WAIT_S)
        assert isinstance(error, Conflict)
        assert constraint == error.constraint


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a\0b"},
        {"name": "\ud800"},
        {"name": "x" + "\udfff"},
        {"size": 2**63},
        {"size": -(2**63) - 1},
        {"size": float("nan")},
        {"size": "many"},
    ],
)
def test_what_one_database_cannot_hold_neither_takes(
    notes: Database, changes: dict[str, Any]
) -> None:
    """NUL, lone surrogates, large integers and the wrong type are refused alike."""
    row = note(1, **changes)
    assert isinstance(
        notes.write(lambda tx: tx.run("add_note", **row)).exception(WAIT_S), InvalidInput
    )
    many = notes.write(lambda tx: tx.many("add_note", [note(2), row]))
    assert isinstance(many.exception(WAIT_S), InvalidInput)
    assert [] == numbers(notes)


@given(
    name=st.text(st.characters(codec=None), max_size=20),  # lone surrogates too
    size=st.integers(-(2**70), 2**70),
)
@SHARED
def test_values_come_back_as_they_were(notes: Database, name: str, size: int) -> None:
    """What is accepted is stored unchanged; what is not accepted is InvalidInput or a rule."""
    number = max(numbers(notes), default=0) + 1
    surrogate = any("\ud800" <= character <= "\udfff" for character in name)
    future = notes.write(add(number, name=name, size=size))
    if surrogate or "\0" in name or not -(2**63) <= size < 2**63:
        assert isinstance(future.exception(WAIT_S), InvalidInput)
    elif size < 0:
        assert isinstance(future.exception(WAIT_S), Conflict)
    else:
        assert number == future.result(WAIT_S)
        row = notes.read(lambda tx: tx.one("get_note", id=number)).result(WAIT_S)
        assert row is not None
        assert (name, size) == (row["name"], row["size"])


def test_a_query_without_its_parameters_is_no_drivers_error(notes: Database) -> None:
    """Not even a mistake of ours lets an error of a driver out."""
    error = notes.write(lambda tx: tx.run("resize_note", id=1)).exception(WAIT_S)
    assert type(error) is ApplianceError
    assert "resize_note" == error.details["query"]


def test_an_unknown_query_is_named(notes: Database) -> None:
    """A name that no file has is a mistake of ours."""
    error = notes.write(lambda tx: tx.run("fly")).exception(WAIT_S)
    assert isinstance(error, KeyError)
    assert "fly" in str(error)


# --- close


def test_close_finishes_what_was_accepted(database_settings: DatabaseSettings) -> None:
    """A write that was accepted before is stored; after it nothing is accepted."""
    db = open_notes(database_settings)
    db.write(lambda tx: tx.run("create_notes")).result(WAIT_S)
    release = threading.Event()
    db.write(lambda _: release.wait(WAIT_S))
    futures = [db.write(add(number)) for number in range(20)]
    closing = threading.Thread(target=db.close)
    closing.start()
    release.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert list(range(20)) == [future.result(0) for future in futures]
    for refused in (db.write(add(99)), db.read(numbers_of), db.read(numbers_of, scan=True)):
        assert isinstance(refused.exception(WAIT_S), Unavailable)
    db.close()


def numbers_of(tx: Transaction) -> int:
    """Return how many notes there are."""
    return len(tx.all("list_notes"))


def test_close_says_so_when_the_writer_does_not_stop(
    database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece of work that hangs must not make the process hang without a word."""
    monkeypatch.setattr(writer, "CLOSE_LIMIT_S", 0.05)
    db = open_notes(database_settings)
    release = threading.Event()
    future = db.write(lambda _: release.wait(WAIT_S))
    with pytest.raises(Unavailable, match="did not stop"):
        db.close()
    release.set()
    assert future.result(WAIT_S)
    db.close()


# --- settle


def test_settle_gives_results_and_errors(notes: Database) -> None:
    """In an event loop a future is awaited, whether it is done already or not."""

    async def main() -> list[Any]:
        works: list[Callable[[], Future[Any]]] = [
            lambda: notes.write(add(1)),
            lambda: notes.write(add(1)),
            lambda: notes.read(numbers_of),
            lambda: notes.read(numbers_of, scan=True),
        ]
        return [(await asyncio.gather(settle(work()), return_exceptions=True))[0] for work in works]

    first, second, third, fourth = asyncio.run(main())
    assert (1, 1, 1) == (first, third, fourth)
    assert isinstance(second, Conflict)


def test_settle_wakes_everybody(notes: Database) -> None:
    """Hundreds of tasks that wait for the same commits are all woken, loop after loop."""

    async def main(base: int) -> list[int]:
        return await asyncio.gather(*(settle(notes.write(add(base + i))) for i in range(300)))

    for base in (0, 1000):
        assert list(range(base, base + 300)) == asyncio.run(main(base))


def test_who_stops_waiting_does_not_stop_the_write(notes: Database) -> None:
    """A client that goes away leaves its write behind, done."""

    async def main() -> None:
        with held(notes):
            task = asyncio.create_task(settle(notes.write(add(1))))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await settle(notes.write(add(2)))

    asyncio.run(main())
    assert [1, 2] == numbers(notes)


def test_a_loop_that_is_gone_is_not_missed(notes: Database) -> None:
    """The result of a write may come when nobody waits any more; the writer goes on."""
    release = threading.Event()

    async def main() -> None:
        future = notes.write(lambda _: release.wait(WAIT_S))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(settle(future), 0.01)

    asyncio.run(main())
    release.set()
    assert notes.write(add(1)).result(WAIT_S) == 1
