"""PostgreSQL: one connection writes for the whole process, some threads with one each read."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from operator import methodcaller
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.numeric import Int8Dumper

from appliance import clock
from appliance.config import DatabaseSettings
from appliance.errors import (
    ApplianceError,
    InvalidConfiguration,
    OutcomeUnknown,
    Unavailable,
)
from appliance.store import faults, locks, migrations
from appliance.store.bulk import as_rows
from appliance.store.database import Observer, T, Transaction, Work, refused
from appliance.store.queries import encoded
from appliance.store.transaction import Much, OpenTransaction
from appliance.store.writer import Writer

Connection = psycopg.Connection[dict[str, Any]]
Cursor = psycopg.Cursor[dict[str, Any]]
ServerCursor = psycopg.ServerCursor[dict[str, Any]]
Statements = Mapping[str, str]

READ_ATTEMPTS = 2

SHARE, HAVE_ALONE = "share_database", "claim_database"
"""The queries that claim a database."""

CONNECT_EVERY_S = 0.25
"""So often a server that cannot be reached is asked again, however many threads want it."""

# What the connection text says itself wins. A peer that is silently gone must not hold the one
# writing connection for the quarter of an hour that TCP would wait.
_DEFAULTS: dict[str, Any] = {
    "fallback_application_name": "compozy",
    "target_session_attrs": "read-write",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def connect(settings: DatabaseSettings, statements: Statements) -> Connection:
    """Connect. Raises: InvalidConfiguration, Unavailable; neither says the connection text."""
    try:
        chosen = conninfo_to_dict(settings.conninfo)
    except psycopg.ProgrammingError:
        message = "DATABASE_URL is not understood; write postgresql://user:password@host/database."
        raise InvalidConfiguration(message) from None
    timeout = {"connect_timeout": max(1, round(settings.connect_timeout))}
    arguments = {**_DEFAULTS, **timeout, **chosen, "client_encoding": "UTF8"}
    try:
        connection: Connection = psycopg.connect(
            **arguments, autocommit=True, row_factory=dict_row, prepare_threshold=0
        )
    except psycopg.OperationalError as error:
        told = " ".join(str(error).split())
        raise Unavailable(f"PostgreSQL cannot be reached: {told}") from None
    try:
        _configure(connection, settings, statements)
    except psycopg.Error as error:
        connection.close()
        raise faults.of_postgres(error, str) from error
    return connection


OLDEST_POSTGRES = 14
"""The oldest that its makers still mend."""


def _configure(connection: Connection, settings: DatabaseSettings, statements: Statements) -> None:
    version = connection.info.server_version // 10_000
    if version < OLDEST_POSTGRES:
        connection.close()
        raise InvalidConfiguration(
            f"The server is PostgreSQL {version}; use {OLDEST_POSTGRES} or newer."
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise InvalidConfiguration(
            f"The database stores text as {encoding}; create it with ENCODING 'UTF8'."
        )
    # one width for all integers, so that a query is prepared once and not once for each width
    connection.adapters.register_dumper(int, Int8Dumper)
    patience = {"lock_timeout": f"{settings.busy_timeout * 1000:.0f}ms"}
    connection.execute(statements["prepare_connection"].encode(), patience)
    connection.autocommit = False


class Beginning:
    """A connection that sends BEGIN together with whatever comes first in a transaction."""

    def __init__(self, connection: Connection) -> None:
        connection.autocommit = True  # psycopg would wait for the answer to its BEGIN
        self._connection = connection

    def execute(self, text: bytes, values: Mapping[str, Any] | None = None) -> Cursor:
        """Execute a query in the transaction, and begin it before."""
        if self._begun:
            return self._connection.execute(text, values)
        with self.pipeline():
            return self._connection.execute(text, values)

    def cursor(self, name: str = "") -> Cursor | ServerCursor:
        """Return a cursor; one with a name stays at the server, and needs the transaction."""
        if not name:
            return self._connection.cursor()
        if not self._begun:
            self._connection.execute(b"BEGIN")
        return self._connection.cursor(name)

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Execute what comes in this block without waiting in between; raise its first error."""
        with self._connection.pipeline():
            if not self._begun:
                self._connection.execute(b"BEGIN")
            yield

    @property
    def _begun(self) -> bool:
        return self._connection.info.transaction_status is not TransactionStatus.IDLE


def _stream(connection: Connection | Beginning) -> Cursor | ServerCursor:
    return connection.cursor(f"stream_{next(_numbers)}")


_numbers = count()
MUCH = Much(as_rows, _stream, methodcaller("pipeline"))


class Connector:
    """Makes the connections of a database, one after the other. Any thread may ask."""

    def __init__(self, settings: DatabaseSettings, statements: Statements) -> None:
        self._settings = settings
        self._statements = statements
        self._lock = threading.Lock()
        self._refusal = ""
        self._next = 0.0

    def connect(self) -> Connection:
        """Return a new connection. Raises: InvalidConfiguration, Unavailable."""
        with self._lock:
            if clock.monotonic() < self._next:
                raise Unavailable(self._refusal)
            try:
                return connect(self._settings, self._statements)
            except Unavailable as error:
                self._refusal = error.message
                self._next = clock.monotonic() + CONNECT_EVERY_S
                raise


def claimed(tx: Transaction, query: str) -> bool:
    """Claim the database for the connection of *tx*; return whether that could be.

    Raises: DatabaseTooNew when it was changed, before it could be claimed, so that a server of this
    program cannot use it.
    """
    row = tx.one(
        query,
        key=locks.DATABASE_KEY,
        programs=locks.PROGRAMS_KEY,
        newest=migrations.latest(),
    )
    done = row is not None and bool(row["claimed"])
    if done and query == SHARE:
        migrations.require_usable(migrations.applied(tx))
    return done


class PostgresDatabase:
    """A PostgreSQL database. See `Database`."""

    driver = "postgres"

    def __init__(
        self, settings: DatabaseSettings, statements: Statements, session: int | None = None
    ) -> None:
        self.on_broken: list[Callable[[ApplianceError], None]] = []
        self.observe: Observer | None = None
        self._settings = settings
        self.connect = Connector(settings, statements).connect
        """Returns a new connection. Raises: InvalidConfiguration, Unavailable."""
        self._texts = encoded(statements)
        self._columns: dict[str, str] = {}
        self.session = secrets.randbits(62) if session is None else session
        self.claims: str | None = None
        """The query by which a new connection that writes claims the database again."""
        self._writer = Writer(PostgresSession(self), self._break)
        self._readers = Readers(self, max(1, settings.max_open_conns - 1))

    def read(self, work: Work[T], *, scan: bool = False) -> Future[T]:  # noqa: ARG002 - all alike
        """Run *work* on a snapshot, in a thread. See `Database`."""
        return self._readers.submit(work)

    def write(self, work: Work[T]) -> Future[T]:
        """Run *work* in a transaction that it may share with others. See `Database`."""
        return self._writer.submit(work)

    def claim(self, *, alone: bool = False) -> None:
        """Keep others off. Raises: Locked, DatabaseTooNew, Unavailable. See `Database`."""
        query = HAVE_ALONE if alone else SHARE
        claim = partial(claimed, query=query)
        locks.patiently(
            lambda: self._writer.submit(claim).result(),
            locks.SERVED if alone else locks.CHANGED_AS_A_WHOLE,
        )
        self.claims = query

    def statistics(self) -> dict[str, int]:
        """Return open connections, the most there can be, and waiting writes."""
        return {
            "connections_open": 1 + self._readers.connections,
            "connections_max": max(2, self._settings.max_open_conns),
            "writes_waiting": self._writer.waiting(),
        }

    def close(self) -> None:
        """Finish what was accepted, then close all connections. See `Database`."""
        self._readers.close()
        self._writer.close()

    def name(self, connection: Connection) -> None:
        """Give a connection that writes the name by which others can end it. Raises psycopg.Error."""
        connection.execute(self._texts["name_connection"], {"session": self.session})

    def transaction(self, connection: Connection | Beginning, *, reads: bool) -> OpenTransaction:
        """Return the transaction of *connection* for one piece of work."""
        translate = faults.of_postgres_reader if reads else faults.of_postgres
        return OpenTransaction(
            connection,
            self._texts,
            lambda error: translate(error, self.columns),
            self.observe,
            MUCH,
        )

    def columns(self, index: str) -> str:
        """Return "table.column,column" of a unique index.

        It is asked for on another connection, for the one where the index refused is out of order.
        """
        if index not in self._columns:
            try:
                with self.connect() as connection:
                    query = self._texts["list_columns_of_index"]
                    rows = connection.execute(query, {"name": index}).fetchall()
            except (ApplianceError, psycopg.Error):
                rows = []
            if not rows:
                return index
            names = ",".join(row["column_name"] for row in rows)
            self._columns[index] = f"{rows[0]['table_name']}.{names}"
        return self._columns[index]

    def _break(self, error: ApplianceError) -> None:
        for callback in self.on_broken:
            callback(error)


@contextmanager
def snapshot(settings: DatabaseSettings, statements: Statements) -> Iterator[OpenTransaction]:
    """Give one moment of a database, which servers may be writing meanwhile. See `store.snapshot`."""
    with connect(settings, statements) as source:
        _only_read(source)
        fault = partial(faults.of_postgres_reader, columns=str)
        yield OpenTransaction(source, encoded(statements), fault, much=MUCH)


def _only_read(connection: Connection) -> None:
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True


class PostgresSession:
    """The connection that writes, for the writer's thread. See `Session`."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._use(database.connect())

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._beginning = Beginning(connection)
        try:  # outside of a transaction, for one that is rolled back would take the name with it
            self._database.name(connection)
        except psycopg.Error as error:
            connection.close()
            raise faults.of_postgres(error, str) from error

    def begin(self) -> None:
        """Make sure of a connection; the transaction begins with the first query."""
        if self._connection.closed:
            self._use(self._database.connect())
            if self._database.claims:
                self._claim_again(self._database.claims)

    def _claim_again(self, query: str) -> None:
        """Claim with the new connection; the server may still believe in the lost one for a while."""
        try:
            if not claimed(self.transaction(), query):
                raise Unavailable("Another connection still holds this PostgreSQL database.")
        except ApplianceError:
            self._connection.close()
            raise

    def transaction(self) -> OpenTransaction:
        """Return the transaction for one piece of work."""
        return self._database.transaction(self._beginning, reads=False)

    def save(self) -> None:
        """Set the savepoint."""
        self._execute(b"SAVEPOINT piece")

    def release(self) -> None:
        """Forget the savepoint."""
        self._execute(b"RELEASE piece")

    def restore(self) -> None:
        """Undo what happened since the savepoint."""
        self._execute(b"ROLLBACK TO piece")
        self._execute(b"RELEASE piece")

    def commit(self) -> None:
        """Commit. Raises OutcomeUnknown when the answer is lost."""
        try:
            self._connection.commit()
        except psycopg.Error as error:
            if self._connection.closed:
                raise OutcomeUnknown from error
            raise faults.of_postgres(error, self._database.columns) from error

    def rollback(self) -> None:
        """Undo everything; a connection that cannot is given up."""
        try:
            self._connection.rollback()
        except psycopg.Error:
            self._connection.close()

    def rest(self, *, idle: bool) -> float | None:  # noqa: ARG002 - the server tidies up itself
        """Have nothing to do."""
        return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _execute(self, statement: bytes) -> None:
        try:
            self._beginning.execute(statement)
        except psycopg.Error as error:
            raise faults.of_postgres(error, self._database.columns) from error


class Readers:
    """Threads that read, each on a connection of its own that is replaced when it was lost."""

    def __init__(self, database: PostgresDatabase, limit: int) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix="reader")
        self._mine = threading.local()
        self._open: set[Connection] = set()
        self._closed = False

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def submit(self, work: Work[T]) -> Future[T]:
        """Run *work* on a snapshot as soon as a thread is free."""
        try:
            return self._threads.submit(self._read, work)
        except RuntimeError:  # the executor was shut down
            return refused(Unavailable("The database is closed."))

    def close(self) -> None:
        """Finish all reads and close all connections."""
        self._threads.shutdown()
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _read(self, work: Work[T]) -> T:
        for attempt in range(1, READ_ATTEMPTS + 1):
            connection = self._connection()
            try:
                return self._database.transaction(connection, reads=True).do(work)
            except faults.Transient:
                if attempt == READ_ATTEMPTS:
                    raise
            finally:
                self._finish(connection)
        raise AssertionError

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._mine, "connection", None)
        if connection is None or connection.closed:
            connection = self._mine.connection = self._database.connect()
            _only_read(connection)
            self._open.add(connection)
        return connection

    def _finish(self, connection: Connection) -> None:
        with suppress(psycopg.Error):
            connection.commit()  # psycopg forgets what is prepared at each ROLLBACK
        if connection.closed:
            self._open.discard(connection)
