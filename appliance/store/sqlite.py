"""SQLite: one connection writes, in a thread of its own; all others only read.

The writer's connection alone runs checkpoints. SQLite 3.7.0 to 3.51.2 can corrupt a database when
two connections race to reset its write-ahead log (WAL), and many systems still carry them.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

from appliance import atomic, clock
from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, InvalidConfiguration, StorageBroken, Unavailable
from appliance.store import copying, faults
from appliance.store.database import Observer, T, Work
from appliance.store.transaction import OpenTransaction
from appliance.store.writer import Writer

MEMORY = ":memory:"
PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24
CHECKPOINT_AFTER_ROWS = 1000
RESTART_AT_BYTES = 64 << 20
RESTART_PATIENCE_MS = 50
IDLE_S = 1.0
LOOK_EVERY_S = 1.0
SCAN_THREADS = 2

# A thread that waits for the interpreter asks for it after this many seconds. The writer waits once
# for each call of SQLite; with the usual 5 ms it starves beside a busy event loop: 40 commits a
# second were measured instead of 550.
SWITCH_INTERVAL_S = 1e-4


def connect(path: str, *, busy_timeout_s: float, read_only: bool = False) -> sqlite3.Connection:
    """Open *path*, creating it with mode 0600 unless *read_only*, and make it ours.

    Raises: InvalidConfiguration when it cannot be a database, StorageBroken, Unavailable.
    """
    if path != MEMORY and not read_only:
        _create(Path(path))
    name = path if path == MEMORY else f"file:{quote(path)}?mode={'ro' if read_only else 'rw'}"
    try:
        connection = sqlite3.connect(
            name,
            uri=path != MEMORY,
            timeout=busy_timeout_s,
            isolation_level=None,  # transactions are begun by us and by nobody else
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.Error as error:
        raise faults.of_sqlite(error, path) from error
    try:
        _configure(connection, path, read_only=read_only)
    except sqlite3.Error as error:
        connection.close()
        raise faults.of_sqlite(error, path) from error
    connection.row_factory = sqlite3.Row
    return connection


def _create(path: Path) -> None:
    """Make the file ours before SQLite can make it anybody's; the WAL takes over its mode."""
    if path.is_dir():
        raise InvalidConfiguration(f"{path} is a directory; name a file for the database.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # never open a file that is there: closing it would drop the locks SQLite may have on it
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        atomic.fsync_directory(path.parent)
    except FileExistsError:
        pass
    except PermissionError as error:
        raise StorageBroken(faults.not_writable(str(path), str(error.strerror))) from error
    except OSError as error:
        raise atomic.fault(error, path) from error


def _configure(connection: sqlite3.Connection, path: str, *, read_only: bool) -> None:
    pragmas = ["foreign_keys=ON", "temp_store=MEMORY", "mmap_size=0", "wal_autocheckpoint=0"]
    if read_only:
        pragmas.append("query_only=ON")
    else:
        # the first two take effect on an empty file only, and must come before the journal mode
        creation = [f"page_size={PAGE_BYTES}", "auto_vacuum=INCREMENTAL"]
        pragmas = [*creation, *pragmas, "synchronous=FULL"]
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    if not read_only and path != MEMORY:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise InvalidConfiguration(f"{path} is on a file system without WAL; use a local disk.")
    connection.execute("PRAGMA schema_version").fetchone()  # touches the file, which opens the WAL


class SqliteDatabase:
    """A SQLite file, or `:memory:`, where all work shares the one connection. See `Database`."""

    driver = "sqlite"

    def __init__(
        self,
        settings: DatabaseSettings,
        statements: Mapping[str, str],
        prepare: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.on_broken: list[Callable[[ApplianceError], None]] = []
        self.observe: Observer | None = None
        self._path = settings.path
        self._busy_timeout_s = settings.busy_timeout
        self._statements = statements
        self._closed = False
        self._connection = connect(self._path, busy_timeout_s=settings.busy_timeout)
        prepare(self._connection)
        self._writer = Writer(SqliteSession(self._connection, settings, self._open), self._break)
        self._mine = threading.local()
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._scans = ThreadPoolExecutor(SCAN_THREADS, thread_name_prefix="scan")

    def read(self, work: Work[T], *, scan: bool = False) -> Future[T]:
        """Run *work* on a snapshot, on the calling thread unless it is a *scan*. See `Database`."""
        if self._path == MEMORY:
            return self._writer.submit(lambda _: self._read_memory(work))
        if scan and not self._closed:
            return self._scans.submit(self._read, work)
        future: Future[T] = Future()
        try:
            future.set_result(self._read(work))
        except BaseException as error:  # noqa: BLE001 - whatever work raises is for its caller
            future.set_exception(error)
        return future

    def write(self, work: Work[T]) -> Future[T]:
        """Run *work* in a transaction that it may share with others. See `Database`."""
        return self._writer.submit(work)

    def snapshot(self, path: Path) -> Future[None]:
        """Copy what is committed to the empty file *path*. Writers go on; in memory they wait.

        Raises: Unavailable; through the future StorageFull, StorageBroken, or Unavailable when the
        database is closed meanwhile.
        """
        self._refuse_closed()
        if self._path == MEMORY:
            return self._writer.submit(lambda _: copying.dump(self._connection, path))
        return self._scans.submit(self._copy, path)

    def statistics(self) -> dict[str, int]:
        """Return open connections, waiting writes, and sizes in bytes."""
        found = {
            "connections_open": 1 + len(self._readers),
            "writes_waiting": self._writer.waiting(),
        }
        if self._path != MEMORY:
            found["file_bytes"] = Path(self._path).stat().st_size
            found["wal_bytes"] = Path(f"{self._path}-wal").stat().st_size
            found["pages"] = found["file_bytes"] // PAGE_BYTES
        return found

    def close(self) -> None:
        """Finish the writes, close all readers, and the writer last. See `Database`."""
        self._closed = True
        self._scans.shutdown()
        for reader in list(self._readers):
            reader.close()
        self._writer.close()

    def _read(self, work: Work[T]) -> T:
        self._refuse_closed()
        reader: Reader | None = getattr(self._mine, "reader", None)
        if reader is None:
            reader = self._mine.reader = Reader(self._path, self._busy_timeout_s)
            self._readers.add(reader)
        return reader.read(work, self._statements, self.observe)

    def _copy(self, path: Path) -> None:
        with closing(
            connect(self._path, busy_timeout_s=self._busy_timeout_s, read_only=True)
        ) as source:
            try:
                copying.copy(source, path, self._refuse_closed)
            except sqlite3.Error as error:
                raise faults.of_sqlite(error, str(path)) from error

    def _refuse_closed(self) -> None:
        if self._closed:
            raise Unavailable("The database is closed.")

    def _read_memory(self, work: Work[T]) -> T:
        self._connection.execute("PRAGMA query_only=ON")
        try:
            return _run(work, self._connection, self._path, self._statements, self.observe)
        finally:
            self._connection.execute("PRAGMA query_only=OFF")

    def _open(self, connection: sqlite3.Connection) -> OpenTransaction:
        translate = partial(faults.of_sqlite, path=self._path)
        return OpenTransaction(connection, self._statements, translate, self.observe)

    def _break(self, error: ApplianceError) -> None:
        for callback in self.on_broken:
            callback(error)


class Reader:
    """A connection that reads, for one thread; another one may close it."""

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self._path = path
        self._connection = connect(path, busy_timeout_s=busy_timeout_s, read_only=True)
        self._lock = threading.Lock()  # a connection must not be closed while it works
        weakref.finalize(self, self._connection.close)  # the thread may end before the database

    def read(self, work: Work[T], statements: Mapping[str, str], observe: Observer | None) -> T:
        """Run *work* on a snapshot."""
        with self._lock:
            try:
                self._connection.execute("BEGIN")
                return _run(work, self._connection, self._path, statements, observe)
            except sqlite3.Error as error:
                raise faults.of_sqlite_reader(error, self._path) from error
            finally:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection when it has finished its work."""
        with self._lock:
            self._connection.close()


def _run(
    work: Work[T],
    connection: sqlite3.Connection,
    path: str,
    statements: Mapping[str, str],
    observe: Observer | None,
) -> T:
    translate = partial(faults.of_sqlite_reader, path=path)
    transaction = OpenTransaction(connection, statements, translate, observe)
    result = work(transaction)
    transaction.check()
    return result


class SqliteSession:
    """The connection that writes, for the writer's thread. See `Session`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        settings: DatabaseSettings,
        open_transaction: Callable[[sqlite3.Connection], OpenTransaction],
    ) -> None:
        self._connection = connection
        self._path = path = settings.path
        self._busy_timeout_ms = int(settings.busy_timeout * 1000)
        self._open = open_transaction
        self._files = Files([path, f"{path}-wal"] if path != MEMORY else [])
        self._dirty = False
        self._rows = 0

    def begin(self) -> None:
        """Begin a transaction that nobody else can write beside."""
        self._execute("BEGIN IMMEDIATE")

    def transaction(self) -> OpenTransaction:
        """Return the transaction for one piece of work."""
        return self._open(self._connection)

    def save(self) -> None:
        """Set the savepoint."""
        self._execute("SAVEPOINT piece")

    def release(self) -> None:
        """Forget the savepoint."""
        self._execute("RELEASE piece")

    def restore(self) -> None:
        """Undo what happened since the savepoint; some errors have undone the transaction too."""
        self._execute("ROLLBACK TO piece")
        self._execute("RELEASE piece")

    def commit(self) -> None:
        """Commit; the WAL is synced when this returns, and it is still the one with a name."""
        self._execute("COMMIT")
        self._dirty = True
        self._files.look()

    def rollback(self) -> None:
        """Undo everything."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def rest(self, *, idle: bool) -> float | None:
        """Move the WAL into the file when there is enough of it, or nothing else to do."""
        rows = self._connection.total_changes - self._rows
        if self._dirty and (idle or rows >= CHECKPOINT_AFTER_ROWS):
            self._rows += rows
            self._checkpoint()
        return IDLE_S if self._dirty else None

    def close(self) -> None:
        """Close, which moves the rest of the WAL into the file."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _checkpoint(self) -> None:
        _, frames, moved = self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._dirty = moved < frames
        if frames * FRAME_BYTES > RESTART_AT_BYTES:
            # readers that follow each other closely never let the WAL begin anew: wait for them
            self._execute(f"PRAGMA busy_timeout={RESTART_PATIENCE_MS}")
            self._execute("PRAGMA wal_checkpoint(RESTART)")
            self._execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")

    def _execute(self, statement: str) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement)
        except sqlite3.Error as error:
            raise faults.of_sqlite(error, self._path) from error


class Files:
    """Files that must stay what they were; a deleted WAL loses writes without any error."""

    def __init__(self, paths: list[str]) -> None:
        self._known = {path: _inode(path) for path in paths}
        self._next = 0.0

    def look(self) -> None:
        """Raise StorageBroken when a file was deleted or replaced, at most `LOOK_EVERY_S` late."""
        now = clock.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_EVERY_S
        for path, inode in self._known.items():
            if _inode(path) != inode:
                raise StorageBroken(
                    f"{path} was deleted or replaced while the database was open;"
                    " nothing more is written. Restore a backup, or start again with what is there."
                )


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
