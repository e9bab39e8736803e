"""A15: migrations that are killed at each of their statements, run out of disk, or run twice at once."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, Locked, StorageFull
from appliance.failpoint import VARIABLE
from appliance.store import migrations, schema, sqlite
from appliance.store.schema import SqliteSchema
from tests.postgres_server import PostgresServer
from tests.store.described import tables

from .serving import Server
from .tiers import TIER
from .verdict import Verdict

PLACES = ("migration.statement", "migration.before_commit", "migration.committed")
IN_SHORT = 1
"""Kills at each place in the short tier, at other times with each seed."""

STARTERS = 2
LATEST = migrations.latest()

_TERMINATE = """
CREATE SEQUENCE statements;
CREATE FUNCTION count_down() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('statements') = {number} THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
END $$;
CREATE EVENT TRIGGER count_down ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE INDEX', 'ALTER TABLE') EXECUTE FUNCTION count_down();
"""

Fresh = Callable[[], DatabaseSettings]
Schemas = list[dict[str, Any]]


@pytest.fixture(params=["sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fresh]:
    """Makes empty databases, of one kind after the other."""
    if request.param == "sqlite":
        numbers = iter(range(10_000))
        yield lambda: DatabaseSettings(driver="sqlite", path=str(tmp_path / f"{next(numbers)}.db"))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    made: list[str] = []

    def database() -> DatabaseSettings:
        made.append(name := f"empty_{len(made)}")
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        return DatabaseSettings(driver="postgres", conninfo=server.conninfo(name))

    yield database
    for name in made:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def schemas(fresh: Fresh) -> Schemas:
    """What a database looks like after no migration, after the first, after the second ..."""
    settings = fresh()
    with schema.opened(settings):
        found = [tables(settings)]
    for number in range(1, LATEST + 1):
        with only(number):
            migrations.up(settings)
        found.append(tables(settings))
    return found


@contextmanager
def only(number: int) -> Iterator[None]:
    """Let the program have the first *number* migrations for this block."""
    all_scripts = migrations.scripts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "scripts", lambda driver: all_scripts(driver)[:number])
        yield


def judge_schema(settings: DatabaseSettings, schemas: Schemas) -> list[str]:
    """Look whether a database is exactly what its ledger says, and can be brought up to date."""
    wrong = []
    with schema.opened(settings):  # as any program would: what a crash left is rolled back
        applied = sum(step.applied_at_us is not None for step in migrations.status(settings))
    if tables(settings) != schemas[applied]:
        wrong.append(f"the schema is not that of migration {applied}")
    migrations.up(settings)
    if tables(settings) != schemas[LATEST]:
        wrong.append(f"from migration {applied} another schema came out than from nothing")
    return wrong


def test_a_kill_leaves_the_old_version_or_the_new(
    fresh: Fresh, schemas: Schemas, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Wherever a migration dies: what its ledger says is so, and the next program completes it."""
    verdict = Verdict("")
    for place in PLACES:
        for number in moments(fresh, tmp_path, place, seed):
            settings = fresh()
            server = Server(tmp_path, settings)
            armed = ("env", f"{VARIABLE}={place}:kill:{number}")
            killed = server.command("migrate", "up", wrapper=armed)
            assert -signal.SIGKILL == killed.returncode
            verdict.findings.corrupt += judge_schema(settings, schemas)
            verdict.faults += 1
    verdict.scenario = f"A15 migration killed, {settings.driver}"
    conclude(verdict)


def moments(fresh: Fresh, tmp_path: Path, place: str, seed: str) -> list[int]:
    """Return at which times to strike *place*: each time, or in the short tier some of them."""
    passed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "failpoint", passed.append)
        migrations.up(fresh())
    found = list(range(1, passed.count(place) + 1))
    return random.Random(f"{seed}-{place}").sample(found, IN_SHORT) if TIER == "short" else found


def test_a_full_disk_leaves_the_old_version_or_the_new(
    tmp_path: Path, conclude: Callable[[Verdict], None]
) -> None:
    """With room for any number of pages, too few of them: a sentence, and whole migrations."""
    verdict = Verdict("A15 migration without room, sqlite")
    verdict.findings.corrupt += run_out_of_pages(tmp_path, verdict)
    assert verdict.faults > LATEST
    conclude(verdict)


def run_out_of_pages(directory: Path, verdict: Verdict) -> list[str]:
    """Migrate with room for one page, for two ... until there is enough; return what is wrong."""
    names = iter(range(10_000))
    wrong: list[str] = []

    def database() -> DatabaseSettings:
        return DatabaseSettings(driver="sqlite", path=str(directory / f"full{next(names)}.db"))

    expected = [{}, *(stepwise(database(), number) for number in range(1, LATEST + 1))]
    for pages in range(1, 10_000):
        settings = database()
        if not ran_out(settings, pages):
            break
        verdict.faults += 1
        wrong += judge_schema(settings, expected)
    return wrong


def stepwise(settings: DatabaseSettings, number: int) -> dict[str, Any]:
    """Return the schema after *number* migrations."""
    with only(number):
        migrations.up(settings)
    return tables(settings)


def ran_out(settings: DatabaseSettings, pages: int) -> bool:
    """Migrate a database that may have so many pages; whether that was too few."""
    connect = sqlite.connect

    def small(*args: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*args, **named)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "connect", small)
        try:
            migrations.up(settings)
        except StorageFull:
            return True
    return False


def test_a_lost_connection_leaves_the_old_version_or_the_new(
    postgres_server: PostgresServer, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """PostgreSQL ends the connection after any statement of any migration."""
    verdict = Verdict("A15 migration cut off, postgres")
    with postgres_server.database("template0") as conninfo:
        settings = DatabaseSettings(driver="postgres", conninfo=conninfo)
        expected = [{}, *(stepwise(settings, number) for number in range(1, LATEST + 1))]
    total = sum(
        script.up.count("CREATE ") + script.up.count("ALTER TABLE")
        for script in migrations.scripts("postgres")
    )
    numbers = range(1, total + 3)  # two more for the tables of the ledger
    chosen = random.Random(seed).sample(numbers, 4) if TIER == "short" else numbers
    for number in chosen:
        with postgres_server.database("template0") as conninfo:
            settings = DatabaseSettings(driver="postgres", conninfo=conninfo)
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute(_TERMINATE.format(number=number).encode())
            with pytest.raises(ApplianceError, match="failed and left nothing behind"):
                migrations.up(settings)
            verdict.faults += 1
            verdict.findings.corrupt += judge_schema(settings, expected)
    conclude(verdict)


def test_many_migrate_at_once(fresh: Fresh, schemas: Schemas, tmp_path: Path) -> None:
    """Programs with data directories of their own: one migrates, others are refused or find it done."""
    settings = fresh()
    servers = []
    for name in map(str, range(STARTERS)):
        (tmp_path / name).mkdir()
        servers.append(Server(tmp_path / name, settings))
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda server: server.command("migrate", "up"), servers))
    codes = {each.returncode for each in ended}
    assert 0 in codes
    assert codes <= {0, Locked.exit_code}, [each.stderr for each in ended]
    assert [] == judge_schema(settings, schemas)


def test_a_migration_without_a_transaction_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own way to run a script commits each statement, which is noticed."""

    def as_python_does(database: SqliteSchema, script: str) -> None:
        try:
            database._connection.executescript(script)
        except sqlite3.Error as error:
            raise database._translate(error) from error

    monkeypatch.setattr(SqliteSchema, "execute", as_python_does)
    monkeypatch.setattr(migrations, "up", patiently(migrations.up))
    assert run_out_of_pages(tmp_path, Verdict(""))


def patiently(up: Callable[[DatabaseSettings], Any]) -> Callable[[DatabaseSettings], None]:
    """Go on where a migration that is done by halves cannot be completed."""

    def attempt(settings: DatabaseSettings) -> None:
        try:
            up(settings)
        except StorageFull:
            raise
        except ApplianceError:
            return

    return attempt
