"""SQLite: files, threads, checkpoints, and disks that fail."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import (
    ApplianceError,
    InvalidConfiguration,
    StorageBroken,
    StorageFull,
    Unavailable,
)
from appliance.store import open_database, sqlite_session
from appliance.store.database import Transaction
from appliance.store.sqlite import SqliteDatabase
from tests.store.conftest import note, open_notes
from tests.store.test_database import WAIT_S, add, held, numbers


@pytest.fixture
def notes(sqlite_notes: SqliteDatabase) -> SqliteDatabase:
    """A SQLite file with an empty table `notes`."""
    return sqlite_notes


@pytest.fixture
def path(sqlite_settings: DatabaseSettings) -> Path:
    """The file of `notes`."""
    return Path(sqlite_settings.path)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wal(path: Path) -> Path:
    """Return the write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


def rows_in_file_alone(path: Path) -> int:
    """Count the notes that the file has without its WAL."""
    copy = path.with_name("copy.db")
    # by another process, for closing the file in this one would drop the locks of SQLite
    subprocess.run(["cp", path, copy], check=True)
    with contextlib.closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM notes").fetchone()
    return int(count)


# --- files


def test_files_are_private_from_the_first_byte(tmp_path: Path) -> None:
    """Neither the umask nor SQLite decides who may read the database; its WAL is as private."""
    path = tmp_path / "new" / "a b%20#?.db"
    before = os.umask(0)
    try:
        db = open_database(DatabaseSettings(path=str(path)))
        try:
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        finally:
            db.close()
    finally:
        os.umask(before)
    names = {"a b%20#?.db", "a b%20#?.db-wal", "a b%20#?.db-shm"}
    assert dict.fromkeys(names, 0o600) == modes
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_close_leaves_one_file(notes: SqliteDatabase, path: Path) -> None:
    """After a clean stop the file alone is the database, whoever read before."""
    notes.write(add(1)).result(WAIT_S)
    assert [1] == numbers(notes)
    notes.close()
    assert [path.name] == [file.name for file in path.parent.iterdir()]
    assert rows_in_file_alone(path) == 1


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    """The sentence says what is wrong with the path."""
    with pytest.raises(InvalidConfiguration, match="is a directory"):
        open_database(DatabaseSettings(path=str(tmp_path)))


def test_another_file_is_no_database(tmp_path: Path) -> None:
    """A file of something else is named, and stays as it is."""
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear reader, " * 500)
    with pytest.raises(StorageBroken, match=r"letter\.txt"):
        open_database(DatabaseSettings(path=str(path)))
    assert b"Dear reader, " * 500 == path.read_bytes()


def test_every_connection_is_configured(notes: SqliteDatabase) -> None:
    """Durability, foreign keys, and checkpoints by the writer alone, whatever SQLite's defaults are."""
    assert [] == numbers(notes)
    (reader,) = notes._readers
    wanted: dict[str, tuple[Any, Any]] = {  # writer, reader
        "journal_mode": ("wal", "wal"),
        "synchronous": (2, None),
        "foreign_keys": (1, 1),
        "wal_autocheckpoint": (0, 0),
        "query_only": (0, 1),
        "mmap_size": (0, 0),
        "page_size": (4096, 4096),
        "auto_vacuum": (2, 2),
        "busy_timeout": (5000, 5000),
        "temp_store": (2, 2),
    }
    for pragma, values in wanted.items():
        for connection, value in zip((notes._connection, reader._connection), values, strict=True):
            found = connection.execute(f"PRAGMA {pragma}").fetchone()
            assert value is None or value == found[0], pragma


def test_a_busy_interpreter_is_shared_fairly(notes: SqliteDatabase) -> None:
    """Without this the writer starves beside a busy event loop."""
    assert sys.getswitchinterval() == pytest.approx(1e-4)


# --- checkpoints


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle after a moment."""
    monkeypatch.setattr(sqlite_session, "IDLE_S", 0.05)


def test_the_file_catches_up_when_idle(quick: None, notes: SqliteDatabase, path: Path) -> None:
    """A moment after the last write the WAL is in the file, so that little is lost with it."""
    notes.write(add(1)).result(WAIT_S)
    eventually(lambda: not notes._writer._session._dirty)  # type: ignore[attr-defined]
    assert rows_in_file_alone(path) == 1


def test_idle_means_no_writing(quick: None, notes: SqliteDatabase, path: Path) -> None:
    """With nothing to do not a byte is written and no thread wakes up."""
    notes.write(add(1)).result(WAIT_S)
    eventually(lambda: not notes._writer._session._dirty)  # type: ignore[attr-defined]
    before = [(file.stat().st_mtime_ns, file.stat().st_size) for file in (path, wal(path))]
    executed: list[str] = []
    notes._connection.set_trace_callback(executed.append)
    time.sleep(0.25)
    after = [(file.stat().st_mtime_ns, file.stat().st_size) for file in (path, wal(path))]
    assert before == after
    assert [] == executed


def test_the_wal_is_moved_while_writes_go_on(
    notes: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough rows bring a checkpoint between two batches, without any idle time."""
    monkeypatch.setattr(sqlite_session, "IDLE_S", 60.0)
    monkeypatch.setattr(sqlite_session, "CHECKPOINT_AFTER_ROWS", 10)
    for number in range(11):
        notes.write(add(number)).result(WAIT_S)
    with held(notes):
        assert rows_in_file_alone(path) >= 10


def test_the_wal_is_bounded_although_somebody_always_reads(
    notes: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers that overlap never let the WAL begin anew by itself: the writer waits for them."""
    monkeypatch.setattr(sqlite_session, "CHECKPOINT_AFTER_ROWS", 1)
    monkeypatch.setattr(sqlite_session, "RESTART_AT_BYTES", 1 << 18)
    monkeypatch.setattr(sqlite_session, "RESTART_PATIENCE_MS", 5000)
    stop = threading.Event()

    def look(tx: Transaction) -> None:
        tx.one("count_notes")
        time.sleep(0.002)

    def read() -> None:
        while not stop.is_set():
            notes.read(look).result(WAIT_S)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(60):
            notes.write(add(number, name="x" * 20_000)).result(WAIT_S)
    finally:
        stop.set()
        for reader in readers:
            reader.join(WAIT_S)
    assert wal(path).stat().st_size < 3 << 18


def test_a_reader_that_stays_does_not_stop_the_writer(
    notes: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long read costs a short pause at the bound of the WAL, not the busy timeout."""
    monkeypatch.setattr(sqlite_session, "CHECKPOINT_AFTER_ROWS", 1)
    monkeypatch.setattr(sqlite_session, "RESTART_AT_BYTES", 1)
    reading, release = threading.Event(), threading.Event()

    def stay(tx: Any) -> None:
        tx.all("list_notes")
        reading.set()
        release.wait(WAIT_S)

    future = notes.read(stay, scan=True)
    assert reading.wait(WAIT_S)
    begun = time.monotonic()
    for number in range(5):
        notes.write(add(number)).result(WAIT_S)
    assert time.monotonic() - begun < 2.5
    release.set()
    future.result(WAIT_S)
    with held(notes):
        assert notes._connection.execute("PRAGMA busy_timeout").fetchone()[0] == 5000


def test_a_thread_that_ends_takes_its_connection_along(notes: SqliteDatabase) -> None:
    """Short-lived threads do not pile up connections."""
    for _ in range(5):
        thread = threading.Thread(target=lambda: numbers(notes))
        thread.start()
        thread.join(WAIT_S)
    gc.collect()
    assert notes.statistics()["connections_open"] == 1


# --- disks that fail


@contextlib.contextmanager
def disk(path: Path, device: str, flags: int) -> Iterator[None]:
    """Let what this process writes to *path* go to *device* during the block."""
    (number,) = [int(fd.name) for fd in Path("/proc/self/fd").iterdir() if _leads_to(fd, path)]
    kept, other = os.dup(number), os.open(device, flags)
    os.dup2(other, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(other)


def _leads_to(descriptor: Path, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # the one that lists them is closed by now
        return descriptor.readlink() == path
    return False


def test_a_full_disk_refuses_writes_and_goes_on_when_there_is_room(notes: SqliteDatabase) -> None:
    """Reads go on, writes get StorageFull, and later writes succeed."""
    notes.write(add(1)).result(WAIT_S)
    (pages,) = notes._connection.execute("PRAGMA page_count").fetchone()
    notes._connection.execute(f"PRAGMA max_page_count={pages}")
    error = notes.write(add(2, name="x" * 100_000)).exception(WAIT_S)
    assert isinstance(error, StorageFull)
    assert [1] == numbers(notes)
    notes._connection.execute("PRAGMA max_page_count=1000000")
    assert notes.write(add(2, name="x" * 100_000)).result(WAIT_S) == 2


def test_a_full_disk_hits_the_large_piece_alone(notes: SqliteDatabase) -> None:
    """Small writes in the same batch still fit."""
    (pages,) = notes._connection.execute("PRAGMA page_count").fetchone()
    notes._connection.execute(f"PRAGMA max_page_count={pages}")
    with held(notes):
        futures = [
            notes.write(add(1)),
            notes.write(add(2, name="x" * 100_000)),
            notes.write(add(3)),
        ]
    errors = [type(future.exception(WAIT_S)) for future in futures]
    assert [type(None), StorageFull, type(None)] == errors
    assert [1, 3] == numbers(notes)


def test_a_disk_that_is_full_below_sqlite(notes: SqliteDatabase, path: Path) -> None:
    """The error of the system is the same error, and the database goes on afterwards."""
    with disk(wal(path), "/dev/full", os.O_RDWR):
        assert isinstance(notes.write(add(1)).exception(WAIT_S), StorageFull)
    assert notes.write(add(1)).result(WAIT_S) == 1


def test_a_disk_that_fails_ends_all_writing(notes: SqliteDatabase, path: Path) -> None:
    """After one I/O error nobody knows what is on the disk: never acknowledge again, say so once."""
    told: list[ApplianceError] = []
    notes.on_broken.append(told.append)
    notes.write(add(1)).result(WAIT_S)
    with disk(wal(path), "/dev/null", os.O_RDONLY):
        with held(notes):
            futures = [notes.write(add(2)), notes.write(add(3))]
        for future in [*futures, notes.write(add(4))]:
            assert isinstance(future.exception(WAIT_S), StorageBroken)
    eventually(lambda: len(told) == 1)
    assert isinstance(notes.write(add(5)).exception(WAIT_S), StorageBroken)
    assert isinstance(told[0], StorageBroken)
    assert str(path) in told[0].message
    notes.close()
    assert len(told) == 1


def test_a_callback_that_raises_leaves_nobody_waiting(
    notes: SqliteDatabase,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever ends the writer's thread, later writes are refused and do not hang."""
    seen: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)

    def fail(_: ApplianceError) -> None:
        raise RuntimeError("no")

    notes.on_broken.append(fail)
    path.unlink()
    assert isinstance(notes.write(add(1)).exception(WAIT_S), StorageBroken)
    eventually(lambda: isinstance(notes.write(add(9)).exception(WAIT_S), Unavailable))
    notes.close()
    assert [RuntimeError] == [arguments.exc_type for arguments in seen]


@pytest.mark.parametrize("victim", ["", "-wal"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_was_taken_away_is_noticed(
    notes: SqliteDatabase, path: Path, victim: str, how: str
) -> None:
    """SQLite goes on writing into a file without a name: such a write is not acknowledged."""
    notes.write(add(1)).result(WAIT_S)
    target = path.with_name(path.name + victim)
    copy = target.read_bytes()
    target.unlink()
    if how == "replaced":
        target.write_bytes(copy)
    error = notes.write(add(2)).exception(WAIT_S)
    assert isinstance(error, StorageBroken)
    assert target.name in error.message
    assert "deleted or replaced" in error.message


def test_what_was_acknowledged_is_saved_when_the_database_is_deleted(
    notes: SqliteDatabase, path: Path
) -> None:
    """The sentence says where it is; a new start refuses to begin with nothing instead."""
    notes.write(add(1)).result(WAIT_S)
    path.unlink()
    error = notes.write(add(2)).exception(WAIT_S)
    (saved,) = path.parent.glob(f"{path.name}.rescued-*")
    assert f"mv {saved} {path}" in str(error)
    assert 0o600 == saved.stat().st_mode & 0o777
    notes.close()
    with pytest.raises(InvalidConfiguration, match=f"mv {saved} {path}"):
        open_notes(DatabaseSettings(path=str(path)))
    saved.rename(path)
    with contextlib.closing(open_notes(DatabaseSettings(path=str(path)))) as again:
        assert 1 in numbers(again)


def test_a_database_that_was_copied_over_is_noticed(notes: SqliteDatabase, path: Path) -> None:
    """The file is the same and its content is another: nothing is written into it any more."""
    notes.write(add(1)).result(WAIT_S)
    copy = path.with_name("copy.db")
    for source, target in ((path, copy), (copy, path)):  # not by this process, as above
        subprocess.run(["cp", source, target], check=True)
    error = notes.write(add(2)).exception(WAIT_S)
    assert isinstance(error, StorageBroken)
    assert "written by another program" in error.message


def test_a_file_without_the_right_to_write(notes: SqliteDatabase, path: Path) -> None:
    """The sentence names the file and what to do."""
    notes._connection.execute("PRAGMA query_only=ON")
    error = notes.write(add(1)).exception(WAIT_S)
    assert isinstance(error, StorageBroken)
    assert str(path) in error.message
    assert "chmod 600" in error.message


def test_a_lock_of_somebody_else_is_waited_for_and_then_reported(path: Path) -> None:
    """Another program that holds the file makes writes fail for the time being."""
    db = open_notes(DatabaseSettings(path=str(path), busy_timeout=0.05))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = db.write(lambda tx: tx.run("create_notes")).exception(WAIT_S)
        assert isinstance(error, Unavailable)
        assert not isinstance(error, StorageBroken)
        other.execute("ROLLBACK")
    db.write(lambda tx: tx.run("create_notes")).result(WAIT_S)
    db.close()


def test_damage_is_reported_and_ends_all_writing(notes: SqliteDatabase, path: Path) -> None:
    """A page that makes no sense is never written over."""
    notes.write(lambda tx: tx.many("add_note", [note(n, name=f"{n} " * 99) for n in range(200)]))
    notes.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4096 * 4096 - 3 * 4096)
        file.write(b"\xff" * (3 * 4096))
    db = open_notes(DatabaseSettings(path=str(path)))
    error = db.write(lambda tx: tx.run("resize_note", id=199, by=1)).exception(WAIT_S)
    assert isinstance(error, StorageBroken)
    assert isinstance(db.write(add(999)).exception(WAIT_S), StorageBroken)
    db.close()


# --- crashes

_CHILD = """
import sys
from appliance.config import DatabaseSettings
from tests.store.conftest import open_notes, note
db = open_notes(DatabaseSettings(path=sys.argv[1]))
futures = []
for number in range(1_000_000):
    futures.append((number, db.write(lambda tx, n=number: tx.run("add_note", **note(n)))))
    if len(futures) == 16:
        for n, future in futures:
            future.result()
            print(n, flush=True)
        futures = []
"""


def test_what_was_acknowledged_survives_a_kill(notes: SqliteDatabase, path: Path) -> None:
    """A process that dies at any moment loses nothing that it has promised."""
    notes.close()
    for _ in range(3):
        path.unlink()
        fresh = open_notes(DatabaseSettings(path=str(path)))
        fresh.write(lambda tx: tx.run("create_notes")).result(WAIT_S)
        fresh.close()
        command = [sys.executable, "-c", _CHILD, str(path)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(100)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout.read().splitlines() if line]
        child.stdout.close()
        child.wait(WAIT_S)
        survivor = open_notes(DatabaseSettings(path=str(path)))
        assert set(acknowledged) <= set(numbers(survivor))
        survivor.close()


def test_memory_is_not_shared() -> None:
    """Two databases in memory know nothing of each other, and leave no file."""
    first, second = (open_notes(DatabaseSettings(path=":memory:")) for _ in range(2))
    for db in (first, second):
        db.write(lambda tx: tx.run("create_notes")).result(WAIT_S)
    first.write(lambda tx: tx.run("add_note", **note(1))).result(WAIT_S)
    assert [] == numbers(second)
    assert not Path(":memory:").exists()
    first.close()
    second.close()
