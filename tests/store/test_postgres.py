"""PostgreSQL: connections that are lost at the worst moment, and servers that say no."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import msgspec
import psycopg
import pytest

from appliance.config import DatabaseSettings
from appliance.errors import (
    ApplianceError,
    Conflict,
    InvalidConfiguration,
    Locked,
    NotFound,
    OutcomeUnknown,
    StorageFull,
    Unavailable,
)
from appliance.store import migrations, open_database, postgres, queries
from appliance.store.batch import Batch, save
from appliance.store.database import Transaction
from appliance.store.nodes import Nodes
from appliance.store.postgres import CONNECT_EVERY_S, PostgresDatabase
from appliance.store.probe import Probe
from appliance.store.workflow_states import Definitions
from tests.postgres_server import PostgresServer
from tests.reliability.line import Line
from tests.store.conftest import open_notes
from tests.store.test_database import WAIT_S, add, held, numbers, numbers_of, together
from tests.store.test_runs import EMPTY, Columns, run, task


@pytest.fixture
def notes(postgres_notes: PostgresDatabase) -> PostgresDatabase:
    """A PostgreSQL database with an empty table `notes`."""
    return postgres_notes


@pytest.fixture
def other(
    notes: PostgresDatabase, postgres_settings: DatabaseSettings
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection of somebody else to the same database."""
    with psycopg.connect(postgres_settings.conninfo, autocommit=True) as connection:
        yield connection


Other = psycopg.Connection[tuple[object, ...]]


def trigger(other: Other, body: str, when: str) -> None:
    """Let the server run *body* for each note that is added."""
    other.execute(
        f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN {body} RETURN NEW; END'".encode()
    )
    kind, timing = ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED") if when == "commit" else ("", "")
    other.execute(
        f"CREATE {kind} TRIGGER spoil AFTER INSERT ON notes {timing} "
        "FOR EACH ROW EXECUTE FUNCTION spoil()".encode()
    )


def end_connections(other: Other) -> None:
    """Lose all connections but our own, and wait until they are gone."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
    mine = other.info.backend_pid
    for (pid,) in other.execute(query, [mine]).fetchall():
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


# --- connections


def test_a_connection_lost_while_idle_is_not_noticed(notes: PostgresDatabase, other: Other) -> None:
    """A server that restarts between two writes costs nobody an error."""
    notes.write(add(1)).result(WAIT_S)
    assert [1] == numbers(notes)
    end_connections(other)
    assert notes.write(add(2)).result(WAIT_S) == 2
    assert [1, 2] == numbers(notes)


def test_a_connection_lost_in_the_middle_repeats_the_work(
    notes: PostgresDatabase, other: Other
) -> None:
    """Before the commit is sent nothing has happened, so all of it is done over."""
    other.execute("CREATE SEQUENCE attempts")
    trigger(
        other,
        "IF nextval(''attempts'') = 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;",
        "statement",
    )
    futures = together(notes, add(1), add(2), add(3))
    assert [1, 2, 3] == [future.result(WAIT_S) for future in futures]
    assert [1, 2, 3] == numbers(notes)


def test_a_connection_lost_again_and_again_is_an_error(notes: PostgresDatabase) -> None:
    """Repeating ends; the next write is fine."""
    error = notes.write(lambda tx: tx.one("end_connection")).exception(WAIT_S)
    assert isinstance(error, Unavailable)
    assert notes.write(add(1)).result(WAIT_S) == 1


def test_a_connection_lost_in_a_read_is_replaced(notes: PostgresDatabase, other: Other) -> None:
    """A read changes nothing, so it is simply repeated."""
    with_two_reads = [numbers(notes), numbers(notes)]
    end_connections(other)
    assert with_two_reads == [numbers(notes), numbers(notes)]


def test_a_connection_lost_during_commit_leaves_the_outcome_unknown(
    notes: PostgresDatabase, other: Other
) -> None:
    """It may have happened, so it is neither repeated nor called a failure."""
    trigger(other, "PERFORM pg_terminate_backend(pg_backend_pid());", "commit")
    calls: list[int] = []

    def work(number: int) -> int:
        calls.append(number)
        return number

    futures = together(notes, lambda tx: work(add(1)(tx)), lambda tx: work(add(2)(tx)))
    for future in futures:
        assert isinstance(future.exception(WAIT_S), OutcomeUnknown)
    assert [1, 2] == calls
    other.execute("DROP TRIGGER spoil ON notes")
    assert notes.write(add(3)).result(WAIT_S) == 3


def test_a_server_that_is_down_is_unavailable_until_it_is_back(
    notes: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    """No restart of ours is needed after one of the server."""
    notes.write(add(1)).result(WAIT_S)
    assert [1] == numbers(notes)
    postgres_server.kill()
    try:
        assert isinstance(notes.write(add(2)).exception(WAIT_S), Unavailable)
        assert isinstance(notes.read(numbers_of).exception(WAIT_S), Unavailable)
    finally:
        postgres_server.start()
    time.sleep(CONNECT_EVERY_S)  # it is not asked again sooner, however many wait for it
    assert notes.write(add(3)).result(WAIT_S) == 3
    assert [1, 3] == numbers(notes)


# --- transactions


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_transaction_that_is_broken_off_is_repeated(
    notes: PostgresDatabase, other: Other, code: str
) -> None:
    """Deadlocks and serialization failures are the server asking to try again."""
    other.execute("CREATE SEQUENCE attempts")
    trigger(
        other,
        f"IF nextval(''attempts'') < 3 THEN RAISE EXCEPTION ''no'' USING ERRCODE = ''{code}'';"
        " END IF;",
        "statement",
    )
    futures = together(notes, add(1), add(2))
    assert [1, 2] == [future.result(WAIT_S) for future in futures]
    assert [1, 2] == numbers(notes)


def test_repeating_is_bounded(notes: PostgresDatabase, other: Other) -> None:
    """A server that always says no gets an answer in the end."""
    trigger(other, "RAISE EXCEPTION ''no'' USING ERRCODE = ''40001'';", "statement")
    assert isinstance(notes.write(add(1)).exception(WAIT_S), Unavailable)


def test_a_commit_that_is_refused_stores_nothing(notes: PostgresDatabase, other: Other) -> None:
    """An error that the server tells at commit is an answer, not an unknown outcome."""
    trigger(other, "RAISE EXCEPTION ''no'' USING ERRCODE = ''23514'';", "commit")
    error = notes.write(add(1)).exception(WAIT_S)
    assert isinstance(error, Conflict)
    assert [] == numbers(notes)


def test_a_full_disk_is_the_same_error_as_on_sqlite(notes: PostgresDatabase, other: Other) -> None:
    """Callers need not know which database it is."""
    body = "IF NEW.id = 2 THEN RAISE EXCEPTION ''no'' USING ERRCODE = ''53100''; END IF;"
    trigger(other, body, "statement")
    first, second = together(notes, add(1), add(2))
    assert isinstance(second.exception(WAIT_S), StorageFull)
    assert first.result(WAIT_S) == 1


def test_a_lock_of_somebody_else_is_waited_for_and_then_reported(
    notes: PostgresDatabase, postgres_settings: DatabaseSettings
) -> None:
    """One row that another node holds must not stop all writes for ever."""
    notes.write(add(1)).result(WAIT_S)
    hasty = open_notes(msgspec.structs.replace(postgres_settings, busy_timeout=0.1))
    with psycopg.connect(postgres_settings.conninfo) as holder:
        holder.execute("UPDATE notes SET size = 5")
        error = hasty.write(lambda tx: tx.run("resize_note", id=1, by=1)).exception(WAIT_S)
        assert isinstance(error, Unavailable)
    assert hasty.write(lambda tx: tx.run("resize_note", id=1, by=1)).result(WAIT_S) == 1
    hasty.close()


def test_nodes_that_write_the_same_row_do_not_lose_updates(
    notes: PostgresDatabase, postgres_settings: DatabaseSettings
) -> None:
    """Two processes at one database are safe with updates that read and write in one statement."""
    notes.write(add(1)).result(WAIT_S)
    second = open_notes(postgres_settings)
    nodes = (notes, second)

    def load(db: PostgresDatabase) -> None:
        for _ in range(40):
            db.write(lambda tx: tx.run("resize_note", id=1, by=1)).result(WAIT_S)

    threads = [threading.Thread(target=load, args=(db,)) for db in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    second.close()
    row = notes.read(lambda tx: tx.one("get_note", id=1)).result(WAIT_S)
    assert row is not None
    assert row["size"] == 80


# --- configuration


def test_a_commit_is_durable_whatever_the_role_is_set_to(
    other: Other, notes: PostgresDatabase, postgres_settings: DatabaseSettings
) -> None:
    """`synchronous_commit = off` would acknowledge what a crash loses."""
    name = other.info.dbname
    for configured, wanted in (("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")):
        other.execute(f"ALTER DATABASE {name} SET synchronous_commit = {configured}".encode())
        db = open_notes(postgres_settings)
        row = db.write(lambda tx: tx.one("get_setting", name="synchronous_commit")).result(WAIT_S)
        assert row is not None
        assert wanted == row["value"]
        db.close()


def test_a_database_that_is_not_utf8_is_refused(postgres_server: PostgresServer) -> None:
    """Half of all names could not be stored in it."""
    postgres_server.execute(
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    settings = DatabaseSettings(driver="postgres", conninfo=postgres_server.conninfo("latin"))
    with pytest.raises(InvalidConfiguration, match="UTF8"):
        open_database(settings)
    postgres_server.execute("DROP DATABASE latin")


SECRET = "hunter2secret"


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        (f"postgresql://joe:{SECRET}@127.0.0.1:1/nothing", Unavailable),
        (f"host=127.0.0.1 port=1 user=joe password={SECRET}", Unavailable),
        (f"postgresql://joe:{SECRET}@[bad/nothing", InvalidConfiguration),
        (f"host=127.0.0.1 {SECRET}", InvalidConfiguration),
    ],
)
def test_the_password_is_never_told(conninfo: str, expected: type[ApplianceError]) -> None:
    """Not in the message, not in what caused it: both end in logs."""
    settings = DatabaseSettings(driver="postgres", conninfo=conninfo, connect_timeout=1.0)
    with pytest.raises(expected) as caught:
        open_database(settings)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_missing_database_is_named(postgres_server: PostgresServer) -> None:
    """The sentence says what the server said."""
    settings = DatabaseSettings(driver="postgres", conninfo=postgres_server.conninfo("nowhere"))
    with pytest.raises(Unavailable, match="nowhere"):
        open_database(settings)


@pytest.fixture
def worker(postgres_settings: DatabaseSettings) -> Iterator[DatabaseSettings]:
    """The same database as a role that may log in and nothing else."""
    role = f"worker_{os.getpid()}"
    with psycopg.connect(postgres_settings.conninfo, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN".encode())
        yield msgspec.structs.replace(
            postgres_settings, conninfo=f"{postgres_settings.conninfo} user={role}"
        )
        owner.execute(f"DROP OWNED BY {role}".encode())
        owner.execute(f"DROP ROLE {role}".encode())


def test_a_role_that_may_change_rows_is_enough(
    worker: DatabaseSettings, postgres_settings: DatabaseSettings
) -> None:
    """Where another role has run the migrations, the server needs no right on the schema."""
    role = worker.conninfo.rpartition("=")[2]
    rights = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO"
    with psycopg.connect(postgres_settings.conninfo, autocommit=True) as owner:
        owner.execute(f"{rights} {role}".encode())
    assert [] == migrations.up(worker)
    migrations.check(worker)
    database = open_database(worker)
    database.claim()
    database.write(lambda tx: Probe(tx).write(1)).result(WAIT_S)
    database.close()


def test_a_role_without_rights_is_told_what_it_lacks(
    worker: DatabaseSettings, postgres_settings: DatabaseSettings
) -> None:
    """One sentence, that says what to do (78)."""
    with pytest.raises(InvalidConfiguration, match=r"lacks a right .*permission denied.*grant it"):
        migrations.up(worker)
    with psycopg.connect(postgres_settings.conninfo, autocommit=True) as owner:
        owner.execute("DROP SCHEMA public CASCADE")
        owner.execute("CREATE SCHEMA public")
    with pytest.raises(InvalidConfiguration, match=r"lacks a right .*no schema"):
        migrations.up(worker)


def test_a_server_that_is_too_old_is_refused(
    postgres_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says which it is and which is needed."""
    monkeypatch.setattr(postgres, "OLDEST_POSTGRES", 99)
    with pytest.raises(
        InvalidConfiguration, match=r"The server is PostgreSQL \d+; use 99 or newer"
    ):
        open_database(postgres_settings)


def test_the_first_of_several_hosts_may_be_down(postgres_settings: DatabaseSettings) -> None:
    """The next one is asked; one that only reads is passed over (target_session_attrs)."""
    parts = dict(word.split("=", 1) for word in postgres_settings.conninfo.split())
    parts["host"] = f"/nowhere,{parts['host']}"
    conninfo = " ".join(f"{name}={value}" for name, value in parts.items())
    database = open_database(msgspec.structs.replace(postgres_settings, conninfo=conninfo))
    database.write(lambda tx: Probe(tx).write(1)).result(WAIT_S)
    database.close()


OURS = "application_name LIKE 'compozy%' AND datname = current_database()"


def test_reads_use_no_more_connections_than_allowed(
    notes: PostgresDatabase, other: Other, postgres_settings: DatabaseSettings
) -> None:
    """The limit counts the writer too."""
    futures = [notes.read(lambda _: time.sleep(0.01)) for _ in range(40)]
    for future in futures:
        future.result(WAIT_S)
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}"
    row = other.execute(query).fetchone()
    assert row is not None
    assert row[0] == postgres_settings.max_open_conns == notes.statistics()["connections_open"]


def test_close_ends_all_connections(other: Other, postgres_settings: DatabaseSettings) -> None:
    """Nothing is left at the server."""
    db = open_notes(postgres_settings)
    numbers(db)
    db.close()
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}"
    deadline = time.monotonic() + WAIT_S
    while other.execute(query).fetchone() != (1,):  # the writer of `notes`
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_batch_is_one_transaction(notes: PostgresDatabase, other: Other) -> None:
    """Sixty-four writes that wait cost one commit."""
    other.execute("ALTER TABLE notes ADD COLUMN xid bigint DEFAULT txid_current()")
    with held(notes):
        futures = [notes.write(add(number)) for number in range(64)]
    assert list(range(64)) == [future.result(WAIT_S) for future in futures]
    assert other.execute("SELECT count(DISTINCT xid) FROM notes").fetchone() == (1,)


def test_what_runs_did_takes_two_round_trips(
    postgres_server: PostgresServer, postgres_settings: DatabaseSettings
) -> None:
    """All that a batch stores goes out at once, with the BEGIN; then comes the COMMIT."""
    definition: Columns = {"hash": "hash", "workflow_id": "f", "source": "{}", "created_at": 1}
    numbers = ("session", "runs", "calls", "started_at", "renewed_at", "lease_until")
    member: Columns = {"id": "one", **dict.fromkeys(("home", "name", "version", "url"), "")}
    member |= dict.fromkeys(numbers, 1)
    with Line(postgres_server.socket) as line:
        database = open_database(line.through(postgres_settings))
        database.write(lambda tx: Definitions(tx).keep([definition])).result(WAIT_S)
        database.write(lambda tx: Nodes(tx).insert(member)).result(WAIT_S)
        for _ in range(2):  # the first one prepares the statements
            known, fresh = run(), run()
            name, before = (
                known["workflow_exec_id"],
                EMPTY._replace(node_id="one", new_runs=[known]),
            )
            database.write(lambda tx, rows=before: save(tx, rows)).result(WAIT_S)  # type: ignore[misc]
            tasks = [task(name, 1), task(name, 2)]
            rows = Batch("one", [fresh], [], tasks, [], [], [{**known, "version": 1}])
            count = line.trips
            database.write(lambda tx, rows=rows: save(tx, rows)).result(WAIT_S)  # type: ignore[misc]
        assert 2 == line.trips - count
        database.close()


def test_servers_share_a_database(postgres_settings: DatabaseSettings) -> None:
    """Who changes it as a whole has it alone, and waits for no server."""
    first, second = open_database(postgres_settings), open_database(postgres_settings)
    third = open_database(postgres_settings)
    first.claim()
    second.claim()
    with pytest.raises(Locked, match="Servers work on this"):
        third.claim(alone=True)
    first.close()
    second.close()
    third.claim(alone=True)
    fourth = open_database(postgres_settings)
    with pytest.raises(Locked, match="changes this PostgreSQL database as a whole"):
        fourth.claim()
    third.close()
    fourth.claim()
    fourth.close()


def test_a_new_connection_claims_the_database_again(
    postgres_settings: DatabaseSettings, other: Other
) -> None:
    """A server whose connection was lost keeps commands out with the next one."""
    first = open_database(postgres_settings)
    first.claim()
    end_connections(other)
    first.write(lambda tx: Probe(tx).write(1)).result(WAIT_S)

    second = open_database(postgres_settings)
    with pytest.raises(Locked):
        second.claim(alone=True)
    second.close()
    first.close()


def test_a_connection_is_known_by_its_name_also_after_a_rollback(
    postgres_settings: DatabaseSettings,
) -> None:
    """Others can end what writes for a server, also the connection that took the place of a lost one."""

    def fail(tx: Transaction) -> None:
        assert tx.one("database_clock")
        raise NotFound

    with (
        closing(PostgresDatabase(postgres_settings, queries.load("postgres"))) as database,
        psycopg.connect(postgres_settings.conninfo, autocommit=True) as other,
    ):
        query = (
            b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        )
        database.claim()
        for _ in range(2):
            assert 1 == other.execute(query, (f"compozy-{database.session}",)).rowcount
            with pytest.raises(NotFound):
                database.write(fail).result()
