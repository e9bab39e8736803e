"""A server with one protection taken away: what shows that a scenario can fail.

python -m tests.reliability.sabotage NAME start PROJECT
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SABOTAGES: dict[str, Callable[[], None]] = {}


def sabotage(take_away: Callable[[], None]) -> Callable[[], None]:
    """Give the sabotage the name of its function."""
    SABOTAGES[take_away.__name__] = take_away
    return take_away


@sabotage
def acknowledge_before_commit() -> None:
    """Answer when the work is done, and commit it a moment later; but a server joins honestly."""
    from appliance.cluster import node
    from appliance.errors import ApplianceError
    from appliance.store.writer import Piece, Writer

    honest, commit = Writer._outcomes, Writer._commit

    def too_early(writer: Writer, batch: list[Piece]) -> None:
        methods = [getattr(piece.work, "func", None) for piece in batch]
        if any(getattr(method, "__module__", "") == node.__name__ for method in methods):
            commit(writer, batch)
            return
        try:
            writer._session.begin()
            results = writer._together(batch)
        except ApplianceError as error:
            for piece in batch:
                piece.promise.set_exception(error)
            return
        finally:
            writer._session.rollback()
        for piece, (result, _) in zip(batch, results, strict=True):
            piece.promise.set_result(result)
        time.sleep(0.02)
        honest(writer, batch)

    Writer._commit = too_early  # type: ignore[method-assign, assignment]


@sabotage
def read_json_as_python_does() -> None:
    """Take NaN, lone surrogates, U+0000 and integers of any size from outside."""
    import json

    from appliance.server import payload

    payload.parse = json.loads  # type: ignore[assignment]


@sabotage
def believe_lost_commits() -> None:
    """Take a COMMIT whose answer was lost for one that succeeded."""
    from appliance.errors import OutcomeUnknown
    from appliance.store.postgres import PostgresSession

    honest = PostgresSession.commit

    def hopeful(session: PostgresSession) -> None:
        with suppress(OutcomeUnknown):
            honest(session)

    PostgresSession.commit = hopeful  # type: ignore[method-assign, assignment]


@sabotage
def repeat_lost_commits() -> None:
    """Do work over whose COMMIT was not answered, as if nothing could have come of it."""
    from appliance.errors import OutcomeUnknown
    from appliance.store.faults import Transient
    from appliance.store.postgres import PostgresSession

    honest = PostgresSession.commit

    def stubborn(session: PostgresSession) -> None:
        try:
            honest(session)
        except OutcomeUnknown as error:
            raise Transient from error

    PostgresSession.commit = stubborn  # type: ignore[method-assign, assignment]


@sabotage
def synchronous_normal() -> None:
    """Do not wait for the disk when a transaction is committed, as many programs do."""
    from appliance.store import sqlite

    honest = sqlite._configure

    def faster(connection: sqlite3.Connection, path: str, *, read_only: bool) -> None:
        honest(connection, path, read_only=read_only)
        connection.execute("PRAGMA synchronous=NORMAL")

    sqlite._configure = faster


@sabotage
def swallow_storage_errors() -> None:
    """Acknowledge although the disk said that it failed."""
    from appliance.errors import StorageBroken
    from appliance.store.sqlite_session import SqliteSession

    honest = SqliteSession.commit

    def deaf(session: SqliteSession) -> None:
        try:
            honest(session)
        except StorageBroken:
            session.rollback()

    SqliteSession.commit = deaf  # type: ignore[method-assign, assignment]


@sabotage
def look_away() -> None:
    """Do not look whether the files of the database are still there."""
    from appliance.store.files import Files

    Files.look = lambda *_: None  # type: ignore[method-assign]


@sabotage
def forget_to_sync_files() -> None:
    """Give a new file its name before what is in it is on disk."""
    from unittest import mock

    mock.patch("os.fsync").start()


@sabotage
def blame_whoever_asks() -> None:
    """Take a lack of memory or of open files for a defect, as programs do that never met one."""
    from appliance.errors import Overloaded

    Overloaded.by = classmethod(lambda _cls, _error: None)  # type: ignore[method-assign, assignment]


@sabotage
def trust_any_directory() -> None:
    """Keep secrets where everybody may read and write."""
    from appliance.store import datadir

    def content(path: Path) -> None:
        """Find nothing wrong with *path*."""

    datadir._check_directory = content


@sabotage
def let_everybody_in() -> None:
    """Take whatever is shown, or nothing, for the key of an admin."""
    from appliance.operations.actors import SYSTEM
    from appliance.server import authentication

    async def actor(_scope: object) -> object:
        return SYSTEM

    authentication._actor = actor  # type: ignore[assignment]


@sabotage
def sleep_by_the_wall_clock() -> None:
    """Look at the wall clock to see whether the time of a timer has come."""
    import asyncio

    from appliance import clock
    from appliance.engine.driver import Driver, Live
    from appliance.engine.run import TaskState

    async def look(driver: Driver, live: Live, task: TaskState) -> None:
        while clock.now_us() < (task.wake_at or 0):
            await asyncio.sleep(0.05)
        driver._wake(live, task.seq, task.attempt)

    def set_timer(driver: Driver, live: Live, task: TaskState, _: float) -> None:
        driver._work.begin(look(driver, live, task))

    Driver._set_timer = set_timer  # type: ignore[method-assign, assignment]


@sabotage
def take_no_lock() -> None:
    """Use a data directory and a database whoever else does."""
    from appliance.store import datadir
    from appliance.store.postgres import PostgresDatabase

    datadir._acquire = lambda descriptor: descriptor >= 0
    PostgresDatabase.claim = lambda _, *, alone=False: None  # type: ignore[method-assign, assignment]  # noqa: ARG005


@sabotage
def leave_the_dead() -> None:
    """Declare no node dead, however long it is silent."""
    from appliance.cluster.node import Node

    Node._bury = lambda *_: ()  # type: ignore[method-assign]


@sabotage
def miss_the_fence() -> None:
    """Go on with runs that others have taken over, and believe that it was stored."""
    from appliance.cluster.node import Node
    from appliance.engine import journal
    from appliance.store import batch
    from appliance.store.database import Transaction
    from appliance.store.nodes import Nodes

    def save(tx: Transaction, rows: batch.Batch) -> None:
        if rows.node_id is None or Nodes(tx).hold(rows.node_id):
            batch.save(tx, rows)

    journal.save = save  # type: ignore[attr-defined]
    Node.fenced = lambda _node, _node_id: None  # type: ignore[method-assign, assignment]
    Node.sure = property(lambda _: True)  # type: ignore[assignment, method-assign]


@sabotage
def let_them_guess() -> None:
    """Count no failed login, and save the work of a check where there is nothing to check."""
    from appliance.operations import passwords
    from appliance.operations.throttle import Backoff

    honest = passwords.verify
    Backoff.add = lambda _self, _name: None  # type: ignore[method-assign, assignment]
    passwords.verify = lambda hashed, password: bool(hashed) and honest(hashed, password)


@sabotage
def wait_for_every_step() -> None:
    """Stop when the last step has ended, however long that takes."""
    from appliance.engine.driver import Driver

    honest = Driver.close

    async def patient(driver: Driver, _: float) -> None:
        await honest(driver, 3600)

    Driver.close = patient  # type: ignore[method-assign, assignment]


@sabotage
def copy_the_file_alone() -> None:
    """Make backups of the file of the database without its log."""
    import shutil

    from appliance.store.sqlite import SqliteDatabase

    def copy(database: SqliteDatabase, path: Path) -> None:
        shutil.copyfile(database._path, path)

    SqliteDatabase._copy = copy  # type: ignore[method-assign, assignment]


@sabotage
def import_table_by_table() -> None:
    """Commit each table as soon as it is full."""
    from appliance.failpoint import failpoint
    from appliance.moving import loading
    from appliance.moving.portable import Portable
    from appliance.store.database import Database
    from appliance.store.tables import TABLES, Tables

    def load(db: Database, archive: Portable) -> None:
        for table in TABLES:
            rows = list(archive.rows(table))
            db.write(lambda tx, rows=rows, table=table: Tables(tx).put(table, rows)).result()  # type: ignore[misc]
            failpoint("import.batch")

    loading.load = load


@sabotage
def forget_ticks() -> None:
    """Begin every schedule anew with each start."""
    from appliance.store.schedules import Schedules

    Schedules.all = lambda _: []  # type: ignore[method-assign, assignment]


@sabotage
def keep_everything() -> None:
    """Keep something in memory for each write."""
    from appliance.store.writer import Writer

    honest, kept = Writer.submit, []

    def submit(writer: Writer, work: Callable[[object], object]) -> object:
        kept.append(b"x" * 4096)
        return honest(writer, work)

    Writer.submit = submit  # type: ignore[method-assign, assignment]


def main() -> None:
    """Take the protection away and run the program."""
    name = sys.argv.pop(1)
    SABOTAGES[name]()
    from appliance.__main__ import main as program

    program()


if __name__ == "__main__":
    main()
