"""DBOS: a library that keeps what every step returned in a database."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.peers.load import Load, closed_loop_of_threads
from benchmarks.peers.program import Library, flows_of, leave, pragmas, serve, stay, step


class DbosSqlite(Library):
    """DBOS in one process on its own SQLite file."""

    name = "dbos-sqlite"
    title = "DBOS, SQLite"
    beside = "compozy-sqlite"
    promise = "every step durable before the next"
    environment = "dbos"

    def _where(self) -> str:
        return f"sqlite:///{self.home}/dbos.sqlite"


class DbosSqliteWal(DbosSqlite):
    """The same with the journal of SQLite switched to WAL, which is not its default."""

    name = "dbos-sqlite-wal"
    title = "DBOS, SQLite in WAL"

    def _where(self) -> str:
        return f"{super()._where()}?wal"


class DbosPostgres(DbosSqlite):
    """DBOS on PostgreSQL."""

    name = "dbos-postgres"
    title = "DBOS, PostgreSQL"
    beside = "compozy-postgres"
    on_postgres = True

    def _where(self) -> str:
        host = dict(part.split("=") for part in self._conninfo().split())
        return f"postgresql://{host['user']}@/{host['dbname']}?host={host['host']}"


def main(url: str) -> None:
    """Serve the harness with the database at *url*."""
    import sqlalchemy
    from dbos import DBOS

    url, patched, _ = url.partition("?wal")
    if patched:
        sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _patch)
    dbos = DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    noop, rest, end = (DBOS.step()(function) for function in (step, stay, leave))

    plain = flows_of(noop, rest, end)
    flows = {name: DBOS.workflow()(flow) for name, flow in plain.items()}
    DBOS.launch()

    def load(flow: str, in_flight: int, seconds: float) -> Load:
        return closed_loop_of_threads(lambda: flows[flow](1), in_flight, seconds)

    def begin(count: int, notes: str) -> None:
        for n in range(count):
            DBOS.start_workflow(flows["staying"], n, notes)

    if not url.startswith("sqlite"):
        serve("", load, begin)
    with dbos._sys_db.engine.connect() as connection:  # noqa: SLF001 - what it really runs with
        told = pragmas(connection.exec_driver_sql)
    serve(told, load, begin)


def _patch(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


if __name__ == "__main__":
    main(*sys.argv[1:])
