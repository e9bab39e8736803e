"""SQLite: one connection writes, in a thread of its own; all others only read.

The writer's connection alone runs checkpoints. SQLite 3.7.0 to 3.51.2 can corrupt a database when
two connections race to reset its write-ahead log (WAL), and many systems still carry them.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

from appliance import atomic
from appliance.config import DatabaseSettings
from appliance.errors import (
    ApplianceError,
    InvalidConfiguration,
    StorageBroken,
    Unavailable,
)
from appliance.store import copying, faults
from appliance.store.bulk import as_values
from appliance.store.database import Observer, T, Work, refused
from appliance.store.files import refuse_rescued
from appliance.store.sqlite_session import MEMORY, PAGE_BYTES, Begin, SqliteSession
from appliance.store.transaction import Much, OpenTransaction
from appliance.store.writer import Writer

SCAN_THREADS = 2

# Python looks for a way to adapt each None that is bound, and never remembers that there is none:
# an eighth of the writer's work. `{}.get` is the quickest way to give None back.
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]


MUCH = Much(as_values)

OLDEST_SQLITE = (3, 38)
"""The first with the `->>` operator."""


def connect(path: str, *, busy_timeout_s: float, read_only: bool = False) -> sqlite3.Connection:
    """Open *path*, creating it with mode 0600 unless *read_only*, and make it ours.

    Raises: InvalidConfiguration when it cannot be a database, StorageBroken, Unavailable.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise InvalidConfiguration(
            f"This Python has SQLite {sqlite3.sqlite_version}; use one with {wanted} or newer."
        )
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
    try:
        if path.is_dir():
            raise InvalidConfiguration(f"{path} is a directory; name a file for the database.")
        refuse_rescued(path)
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
    session = 0

    def __init__(
        self,
        settings: DatabaseSettings,
        statements: Mapping[str, str],
        prepare: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        self.on_broken: list[Callable[[ApplianceError], None]] = []
        self.observe: Observer | None = None
        self._path = path = settings.path
        self._busy_timeout_s = settings.busy_timeout
        self._statements = statements
        self._write_fault = partial(faults.of_sqlite, path=path)
        self._read_fault = partial(faults.of_sqlite_reader, path=path)
        self._closed = False
        self._gate = threading.Lock()  # no reader may open while `close` counts them
        self._mine = threading.local()
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._scans = ThreadPoolExecutor(SCAN_THREADS, thread_name_prefix="scan")
        self._connection = connect(path, busy_timeout_s=settings.busy_timeout)
        prepare(self._connection)
        session = SqliteSession(self._connection, settings, self._writing)
        self._writer = Writer(session, self._break)

    def read(self, work: Work[T], *, scan: bool = False) -> Future[T]:
        """Run *work* on a snapshot, on the calling thread unless it is a *scan*. See `Database`."""
        if self._path == MEMORY:
            return self._writer.submit(lambda _: self._read_memory(work))
        if scan:
            return self._scan(lambda: self._read(work))
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

        Raises (through the future): StorageFull, StorageBroken, Unavailable.
        """
        if self._path == MEMORY:
            return self._writer.submit(lambda _: copying.dump(self._connection, path))
        return self._scan(lambda: self._copy(path))

    def claim(self, *, alone: bool = False) -> None:
        """Have nothing to do: see `Database`."""

    def statistics(self) -> dict[str, int]:
        """Return open connections, waiting writes, and sizes in bytes."""
        found = {
            "connections_open": 1 + len(self._readers),
            "writes_waiting": self._writer.waiting(),
        }
        if self._path != MEMORY:
            found["file_bytes"] = _size(self._path)
            found["wal_bytes"] = _size(f"{self._path}-wal")
            found["pages"] = found["file_bytes"] // PAGE_BYTES
        return found

    def close(self) -> None:
        """Finish the writes, close all readers, and the writer last. See `Database`."""
        with self._gate:
            self._closed = True
        self._scans.shutdown()
        for reader in list(self._readers):
            reader.close()
        self._writer.close()

    def _scan(self, action: Callable[[], T]) -> Future[T]:
        try:
            return self._scans.submit(action)
        except RuntimeError:  # the threads were shut down
            return refused(Unavailable("The database is closed."))

    def _read(self, work: Work[T]) -> T:
        self._refuse_closed()
        reader: Reader | None = getattr(self._mine, "reader", None)
        if reader is None:
            with self._gate:
                self._refuse_closed()
                reader = self._mine.reader = Reader(self._path, self._busy_timeout_s)
                self._readers.add(reader)
        return reader.read(work, self._reading)

    def _copy(self, path: Path) -> None:
        self.write(lambda _: None).result()  # looks at the files: another one would be copied
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
            return self._reading(self._connection).do(work)
        finally:
            self._connection.execute("PRAGMA query_only=OFF")

    def _reading(self, connection: sqlite3.Connection) -> OpenTransaction:
        return OpenTransaction(connection, self._statements, self._read_fault, self.observe)

    def _writing(self, connection: sqlite3.Connection) -> OpenTransaction:
        return OpenTransaction(connection, self._statements, self._write_fault, self.observe, MUCH)

    def _break(self, error: ApplianceError) -> None:
        for callback in self.on_broken:
            callback(error)


@contextmanager
def snapshot(
    settings: DatabaseSettings, statements: Mapping[str, str]
) -> Iterator[OpenTransaction]:
    """Give one moment of a file, which a server may be writing meanwhile. See `store.snapshot`."""
    path = settings.path
    fault = partial(faults.of_sqlite_reader, path=path)
    with closing(connect(path, busy_timeout_s=settings.busy_timeout, read_only=True)) as source:
        source.execute("BEGIN")
        yield OpenTransaction(source, statements, fault)


class Reader:
    """A connection that reads, for one thread; another one may close it."""

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self._path = path
        self._connection = connect(path, busy_timeout_s=busy_timeout_s, read_only=True)
        self._lock = threading.Lock()  # a connection must not be closed while it works
        weakref.finalize(self, self._connection.close)  # the thread may end before the database

    def read(self, work: Work[T], begin: Begin) -> T:
        """Run *work* on a snapshot."""
        with self._lock:
            try:
                self._connection.execute("BEGIN")
                return begin(self._connection).do(work)
            except sqlite3.Error as error:
                raise faults.of_sqlite_reader(error, self._path) from error
            finally:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection when it has finished its work."""
        with self._lock:
            self._connection.close()


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:  # closed, or taken away
        return 0
