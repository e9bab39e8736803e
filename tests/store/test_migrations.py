"""Migrations: up, down, interrupted, too new, and the same schema on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.config import DatabaseSettings
from appliance.errors import (
    ApplianceError,
    Conflict,
    DatabaseTooNew,
    InvalidConfiguration,
    Locked,
    Unavailable,
)
from appliance.store import migrations, open_database, reserving, schema
from appliance.store.database import Database
from appliance.store.migrations import Script

from .described import connected, tables

LATEST = migrations.latest()


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """A database without anything; one of each kind that has a life beyond the process."""
    if request.param == "sqlite":
        return DatabaseSettings(path=str(tmp_path / "app.db"))
    settings: DatabaseSettings = request.getfixturevalue("empty_postgres")
    return settings


def use(monkeypatch: pytest.MonkeyPatch, *scripts: Script) -> None:
    """Let the program have these migrations."""
    monkeypatch.setattr(migrations, "scripts", lambda _: scripts)


FIRST = Script(1, "first", 1, "CREATE TABLE a (id BIGINT PRIMARY KEY);", "DROP TABLE a;")
SECOND = Script(2, "second", 2, "CREATE TABLE b (id BIGINT PRIMARY KEY);", "DROP TABLE b;")
EXPANDING = SECOND._replace(since=1)
CONTRACTING = Script(3, "third", 2, "DROP TABLE a;", "CREATE TABLE a (id BIGINT PRIMARY KEY);")

LEDGER = {"schema_migrations", "schema_compatibility"}


# --- the migrations of the program


def test_both_schemas_are_the_same(
    sqlite_settings: DatabaseSettings, postgres_settings: DatabaseSettings
) -> None:
    """Tables, columns with type, nullability and default, keys, unique constraints, indexes."""
    sqlite_tables, postgres_tables = tables(sqlite_settings), tables(postgres_settings)
    assert sqlite_tables == postgres_tables
    assert {"users", "workflow_states", *LEDGER} <= set(sqlite_tables)


def test_both_order_keys_alike(postgres_settings: DatabaseSettings) -> None:
    """Every text in an index of PostgreSQL is compared by its bytes, as SQLite compares."""
    query = """
        SELECT indexrelid::regclass::text, collname
        FROM pg_index, unnest(indcollation::oid[]) AS used, pg_collation
        WHERE pg_collation.oid = used AND collname <> 'C'
            AND indrelid::regclass::text = ANY (%s)
    """
    with connected(postgres_settings) as connection:
        assert [] == connection.execute(query, [list(tables(postgres_settings))]).fetchall()


def test_both_databases_have_the_same_migrations() -> None:
    """Numbers, names and who may use them agree, and no number is missing or given twice."""
    both = [[script[:3] for script in migrations.scripts(d)] for d in ("sqlite", "postgres")]
    assert both[0] == both[1]
    assert list(range(1, LATEST + 1)) == [number for number, _, _ in both[0]]


def test_programs_that_believe_to_be_alone_are_kept_off() -> None:
    """Before migration 8 a server took every run for its own."""
    assert all(script.since >= 8 for script in migrations.scripts("postgres")[7:])


def test_tables_of_sqlite_are_strict(sqlite_settings: DatabaseSettings) -> None:
    """Otherwise a text fits into an integer column, which PostgreSQL refuses."""
    with connected(sqlite_settings) as connection:
        rows = connection.execute("PRAGMA table_list").fetchall()
    loose = {row[1] for row in rows if not row[5] and not row[1].startswith("sqlite_")}
    assert loose == LEDGER  # made by one text for both databases


def test_up_down_up_is_the_identity(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step back removes exactly what the step made, one step at a time."""
    all_scripts = migrations.scripts(empty.driver)
    states = []
    for number in range(LATEST + 1):
        use(monkeypatch, *all_scripts[:number])
        migrations.up(empty)
        states.append(_without_ledger(tables(empty)))
    for number in reversed(range(LATEST)):
        (step,) = migrations.down(empty, number)
        assert (number + 1, None) == (step.number, step.applied_at_us)
        assert states[number] == _without_ledger(tables(empty))
    migrations.up(empty)
    assert states[LATEST] == _without_ledger(tables(empty))


def _without_ledger(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in found.items() if name not in LEDGER}


# --- the runner


def test_up_applies_what_is_missing_and_nothing_twice(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second `up` does nothing; a newer program adds its own."""
    use(monkeypatch, FIRST)
    assert ["first"] == [step.name for step in migrations.up(empty)]
    assert [] == migrations.up(empty)
    use(monkeypatch, FIRST, SECOND)
    assert ["second"] == [step.name for step in migrations.up(empty)]
    assert {"a", "b", *LEDGER} == set(tables(empty))


def test_status_says_what_was_applied_and_writes_nothing(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty database stays empty, a missing file stays missing."""
    use(monkeypatch, FIRST, SECOND)
    assert [None, None] == [step.applied_at_us for step in migrations.status(empty)]
    if empty.driver == "sqlite":
        assert not Path(empty.path).exists()
    assert {} == tables(empty)
    with pytest.raises(InvalidConfiguration, match=r"0001_first, 0002_second.*migrate up"):
        migrations.check(empty)
    use(monkeypatch, FIRST)
    migrations.up(empty)
    migrations.check(empty)
    use(monkeypatch, FIRST, SECOND)
    first, second = migrations.status(empty)
    assert first.applied_at_us is not None
    assert second.applied_at_us is None
    with pytest.raises(InvalidConfiguration, match="0002_second"):
        migrations.check(empty)


@pytest.mark.parametrize("action", ["up", "down", "status", "check"])
def test_a_newer_database_is_left_alone(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """An older program must not touch what it does not understand."""
    use(monkeypatch, FIRST, SECOND)
    migrations.up(empty)
    before = tables(empty)
    use(monkeypatch, FIRST)
    arguments = [empty, 0] if action == "down" else [empty]
    with pytest.raises(DatabaseTooNew, match="migration 2"):
        getattr(migrations, action)(*arguments)
    assert before == tables(empty)


def test_an_older_program_uses_what_was_only_added_to(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on, shows what it does not know, and takes nothing back."""
    use(monkeypatch, FIRST, EXPANDING)
    migrations.up(empty)
    before = tables(empty)
    use(monkeypatch, FIRST)
    migrations.check(empty)
    assert [] == migrations.up(empty)
    shown = migrations.status(empty)
    assert [(1, "first"), (2, "second")] == [step[:2] for step in shown]
    assert all(step.applied_at_us is not None for step in shown)
    with pytest.raises(DatabaseTooNew, match=r"migration 2, .*does not know"):
        migrations.down(empty, 0)
    with pytest.raises(DatabaseTooNew, match=r"migration 2, .*does not know"):
        migrations.require_known(empty)
    assert before == tables(empty)


def test_what_takes_away_is_for_newer_programs(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says which migration it was and who can use it."""
    use(monkeypatch, FIRST, EXPANDING, CONTRACTING)
    migrations.up(empty)
    use(monkeypatch, FIRST, EXPANDING)
    migrations.check(empty)
    use(monkeypatch, FIRST)
    with pytest.raises(DatabaseTooNew, match=r"migration 3, .* know migration 2, .* ends with 1;"):
        migrations.check(empty)
    assert DatabaseTooNew.exit_code == 78
    use(monkeypatch, FIRST, EXPANDING, CONTRACTING)
    migrations.down(empty, 2)
    use(monkeypatch, FIRST)
    migrations.check(empty)


def test_migrations_without_a_word_in_the_ledger_are_for_their_own_programs(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier version wrote them, which kept no such table."""
    use(monkeypatch, FIRST, EXPANDING)
    migrations.up(empty)
    with connected(empty) as connection:
        connection.execute("DROP TABLE schema_compatibility")
    migrations.check(empty)
    use(monkeypatch, FIRST)
    with pytest.raises(DatabaseTooNew, match="migration 2"):
        migrations.check(empty)
    use(monkeypatch, FIRST, EXPANDING)
    migrations.down(empty, 1)
    assert {"a", *LEDGER} == set(tables(empty))


@contextmanager
def server(settings: DatabaseSettings) -> Iterator[Database]:
    """A server of the version that the program has now, for this block."""
    database = open_database(settings)
    try:
        database.claim()
        yield database
    finally:
        database.close()


def test_servers_go_on_that_can_follow(
    empty_postgres: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They keep off what they cannot follow, and what they can use is changed beside them."""
    use(monkeypatch, FIRST)
    migrations.up(empty_postgres)
    with server(empty_postgres):
        use(monkeypatch, FIRST, EXPANDING)
        assert ["second"] == [step.name for step in migrations.up(empty_postgres)]
        with server(empty_postgres):
            use(monkeypatch, FIRST, EXPANDING, CONTRACTING)
            before = tables(empty_postgres)
            with pytest.raises(Locked, match=r"servers which run .* cannot follow; stop them"):
                migrations.up(empty_postgres)
            assert before == tables(empty_postgres)
    use(monkeypatch, FIRST, EXPANDING)
    with server(empty_postgres):
        use(monkeypatch, FIRST, EXPANDING, CONTRACTING)
        assert ["third"] == [step.name for step in migrations.up(empty_postgres)]
        with server(empty_postgres):
            pass
    assert Locked.exit_code == 73


def test_a_server_that_is_late_is_kept_off(
    empty_postgres: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked at the schema before it was changed, and claims the database after it."""
    use(monkeypatch, FIRST, SECOND)
    migrations.up(empty_postgres)
    use(monkeypatch, FIRST)
    with pytest.raises(DatabaseTooNew, match="migration 2"), server(empty_postgres):
        pass


def test_a_server_that_was_cut_off_is_kept_off(
    empty_postgres: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema was changed while it had no connection that could keep it as it was."""
    use(monkeypatch, FIRST)
    migrations.up(empty_postgres)
    with server(empty_postgres) as cut_off:
        with connected(empty_postgres) as connection:
            others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            mine = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(f"{others} WHERE {mine}")
        use(monkeypatch, FIRST, SECOND)
        migrations.up(empty_postgres)
        use(monkeypatch, FIRST)
        for _ in range(2):
            with pytest.raises(DatabaseTooNew, match="migration 2"):
                cut_off.write(lambda tx: tx.all("list_schema_migrations")).result(10)


def test_nobody_is_held_up_by_a_migration_that_waits(
    empty_postgres: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives up a table after `busy_timeout`, but not the turn of another node."""
    hurried = msgspec.structs.replace(empty_postgres, busy_timeout=0.1)
    use(monkeypatch, FIRST)
    with schema.opened(empty_postgres) as other, ThreadPoolExecutor() as thread:
        assert isinstance(other, schema.PostgresSchema)
        waiting = thread.submit(migrations.up, hurried)
        time.sleep(0.5)
        assert not waiting.done()
        other._connection.close()
        assert ["first"] == [step.name for step in waiting.result(10)]
    use(monkeypatch, FIRST, SECOND._replace(up="ALTER TABLE a ADD COLUMN b BIGINT;"))
    with connected(empty_postgres) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM a")
        with pytest.raises(Unavailable, match="0002_second failed and left nothing"):
            migrations.up(hurried)


def test_who_has_the_database_alone_migrates_it(
    empty_postgres: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else does, a program that starts included."""
    use(monkeypatch, FIRST)
    with reserving.alone(empty_postgres, None):
        with pytest.raises(Locked, match="as a whole"):
            migrations.up(empty_postgres)
        assert {} == tables(empty_postgres)
        assert ["first"] == [step.name for step in migrations.up(empty_postgres, reserved=True)]


def test_an_interrupted_migration_leaves_nothing(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before the failing statement is undone, earlier migrations stay."""
    broken = Script(2, "broken", 2, f"{SECOND.up}\nINSERT INTO nowhere VALUES (1);", "")
    use(monkeypatch, FIRST, broken)
    with pytest.raises(ApplianceError, match="0002_broken failed and left nothing"):
        migrations.up(empty)
    assert {"a", *LEDGER} == set(tables(empty))
    use(monkeypatch, FIRST, SECOND)
    assert ["second"] == [step.name for step in migrations.up(empty)]


def test_an_interrupted_step_back_leaves_everything(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step back that fails in the middle has not begun."""
    use(monkeypatch, FIRST, SECOND._replace(down="DROP TABLE b; DROP TABLE nowhere;"))
    migrations.up(empty)
    before = tables(empty)
    with pytest.raises(ApplianceError, match="0002_second failed"):
        migrations.down(empty, 0)
    assert before == tables(empty)


def test_programs_that_start_together_migrate_once(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nodes with one database: one migrates, the other waits and finds it done."""
    use(monkeypatch, FIRST, SECOND)
    errors: list[BaseException] = []

    def start() -> None:
        try:
            migrations.up(empty)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test fails
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [] == errors
    assert {"a", "b", *LEDGER} == set(tables(empty))


def test_rows_survive_the_replacement_of_their_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite changes a table by replacing it, which must not delete those that refer to it."""
    first = Script(
        1,
        "first",
        1,
        "CREATE TABLE a (id INTEGER PRIMARY KEY);"
        "CREATE TABLE b (a INTEGER REFERENCES a (id) ON DELETE CASCADE);"
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);",
        "",
    )
    replace = "CREATE TABLE c (id INTEGER PRIMARY KEY); {} DROP TABLE a; ALTER TABLE c RENAME TO a;"
    settings = DatabaseSettings(path=str(tmp_path / "app.db"))
    use(monkeypatch, first, Script(2, "empty", 2, replace.format(""), ""))
    with pytest.raises(Conflict, match="0002_empty"):
        migrations.up(settings)
    full = replace.format("INSERT INTO c SELECT * FROM a;")
    use(monkeypatch, first, Script(2, "full", 2, full, ""))
    migrations.up(settings)
    with connected(settings) as connection:
        assert [(1,)] == connection.execute("SELECT a FROM b").fetchall()


def test_statements_are_cut_where_sqlite_cuts_them() -> None:
    """Semicolons in triggers, texts and comments end nothing."""
    script = (
        "CREATE TABLE a (x TEXT DEFAULT 'a;b'); -- one; two\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\n  DELETE FROM a;\nEND;\n"
        "/* last; */ DROP TABLE a;\n"
    )
    found = list(schema.statements(script))
    assert script.rstrip() == "".join(found)
    beginnings = ["CREATE TABLE", " -- one; two", "/* last; */"]
    assert len(beginnings) == len(found)
    for beginning, statement in zip(beginnings, found, strict=True):
        assert statement.lstrip("\n").startswith(beginning)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("1_a.sql", "-- up\nx;\n-- down\ny;\n"),
        ("0001_A.sql", "-- up\nx;\n-- down\ny;\n"),
        ("0001_a.txt", "-- up\nx;\n-- down\ny;\n"),
        ("0001_a.sql", "x;\n-- down\ny;\n"),
        ("0001_a.sql", "-- up\nx;\n"),
        ("0001_a.sql", "-- since me\n-- up\nx;\n-- down\ny;\n"),
        ("0001_a.sql", "x;\n-- since 1\n-- up\nx;\n-- down\ny;\n"),
    ],
)
def test_a_file_that_breaks_the_rules_is_refused(file: str, text: str) -> None:
    """A migration that would be skipped in silence is worse than none."""
    with pytest.raises(ValueError, match="NNNN_words"):
        migrations.parse(file, text)


def test_a_file_says_who_may_use_the_schema_after_it() -> None:
    """Without a word nobody older may; who comes later cannot be meant."""
    text = "-- up\nx;\n-- down\ny;\n"
    assert migrations.parse("0009_a.sql", text) == Script(9, "a", 9, "x;\n", "y;\n")
    assert migrations.parse("0009_a.sql", f"-- since 8\n{text}").since == 8
    with pytest.raises(ValueError, match="after itself"):
        migrations.parse("0009_a.sql", f"-- since 10\n{text}")
