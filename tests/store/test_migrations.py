"""Migrations: up, down, interrupted, too new, and the same schema on both databases."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, Conflict, DatabaseTooNew, InvalidConfiguration
from appliance.store import migrations, schema
from appliance.store.migrations import Script

LATEST = migrations.latest()


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """A database without anything; one of each kind that has a life beyond the process."""
    if request.param == "sqlite":
        return DatabaseSettings(path=str(tmp_path / "app.db"))
    settings: DatabaseSettings = request.getfixturevalue("empty_postgres")
    return settings


@contextlib.contextmanager
def connected(settings: DatabaseSettings) -> Iterator[Any]:
    """Connect past everything of ours."""
    if settings.driver == "sqlite":
        with contextlib.closing(sqlite3.connect(settings.path, isolation_level=None)) as connection:
            yield connection
    else:
        with psycopg.connect(settings.conninfo, autocommit=True) as connection:
            yield connection


def use(monkeypatch: pytest.MonkeyPatch, *scripts: Script) -> None:
    """Let the program have these migrations."""
    monkeypatch.setattr(migrations, "scripts", lambda _: scripts)


FIRST = Script(1, "first", "CREATE TABLE a (id BIGINT PRIMARY KEY);", "DROP TABLE a;")
SECOND = Script(2, "second", "CREATE TABLE b (id BIGINT PRIMARY KEY);", "DROP TABLE b;")


# --- describing a schema in words that mean the same on both databases


def tables(settings: DatabaseSettings) -> dict[str, dict[str, Any]]:
    """Describe every table of a database."""
    with connected(settings) as connection:
        if settings.driver == "sqlite":
            query = (
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
            describe: Callable[[Any, str], dict[str, Any]] = _sqlite_table
        else:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            describe = _postgres_table
        names = [name for (name,) in connection.execute(query).fetchall()]
        return {name: describe(connection, name) for name in sorted(names)}


def _sqlite_table(connection: sqlite3.Connection, table: str) -> dict[str, Any]:
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    indexes = connection.execute(f"PRAGMA index_list({table})").fetchall()
    keys: dict[int, list[Any]] = {}
    for row in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
        keys.setdefault(row[0], []).append(row)
    (text,) = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", [table]
    ).fetchone()
    return {
        "columns": {c[1]: (_class(c[2]), bool(c[3] or c[5]), c[4]) for c in columns},
        "primary key": [c[1] for c in sorted(columns, key=lambda c: c[5]) if c[5]],
        "foreign keys": sorted(
            (tuple(r[3] for r in rows), rows[0][2], tuple(r[4] for r in rows), rows[0][6])
            for rows in keys.values()
        ),
        "indexes": sorted(
            (i[1], bool(i[2]), _sqlite_columns(connection, i[1]), _sqlite_where(connection, i[1]))
            for i in indexes
            if i[3] == "c"
        ),
        "unique": sorted(_sqlite_columns(connection, i[1]) for i in indexes if i[3] == "u"),
        "checks": len(re.findall(r"\bCHECK\b", text)),
    }


def _sqlite_columns(connection: sqlite3.Connection, index: str) -> tuple[str, ...]:
    rows = connection.execute(f"PRAGMA index_info({index})").fetchall()
    return tuple(row[2] for row in rows)


def _sqlite_where(connection: sqlite3.Connection, index: str) -> list[str]:
    (text,) = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?", [index]
    ).fetchone()
    return _words(text.partition("WHERE")[2])


def _postgres_table(connection: psycopg.Connection[Any], table: str) -> dict[str, Any]:
    columns = connection.execute(
        "SELECT column_name, data_type, is_nullable = 'NO', column_default"
        " FROM information_schema.columns WHERE table_name = %s AND table_schema = current_schema()",
        [table],
    ).fetchall()
    constraints = connection.execute(
        "SELECT contype::text, conname, confdeltype::text, confrelid::regclass::text,"
        " ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, place)"
        "  INNER JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place),"
        " ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k (number, place)"
        "  INNER JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place)"
        " FROM pg_constraint WHERE conrelid = %s::regclass",
        [table],
    ).fetchall()
    indexes = connection.execute(
        "SELECT c.relname::text, i.indisunique,"
        " ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid ORDER BY attnum),"
        " coalesce(pg_get_expr(i.indpred, i.indrelid), '')"
        " FROM pg_index AS i INNER JOIN pg_class AS c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass",
        [table],
    ).fetchall()
    made = {name for kind, name, *_ in constraints if kind in "pu"}
    actions = {"a": "NO ACTION", "c": "CASCADE", "n": "SET NULL", "r": "RESTRICT", " ": ""}
    return {
        "columns": {name: (_class(kind), fixed, default) for name, kind, fixed, default in columns},
        "primary key": next((mine for kind, _, _, _, mine, _ in constraints if kind == "p"), []),
        "foreign keys": sorted(
            (tuple(mine), target, tuple(theirs), actions[action])
            for kind, _, action, target, mine, theirs in constraints
            if kind == "f"
        ),
        "indexes": sorted(
            (name, unique, tuple(columns), _words(where))
            for name, unique, columns, where in indexes
            if name not in made
        ),
        "unique": sorted(tuple(mine) for kind, _, _, _, mine, _ in constraints if kind == "u"),
        "checks": sum(kind == "c" for kind, *_ in constraints),
    }


def _class(kind: str) -> str:
    return {"bigint": "integer", "bytea": "blob", "double precision": "real"}.get(
        kind.lower(), kind.lower()
    )


def _words(condition: str) -> list[str]:
    """Return the names and values of a condition: both databases print it in their own way."""
    plain = condition.replace("::text", "").replace("ANY", "IN").replace("ARRAY", "")
    return sorted(set(re.findall(r"'[^']*'|\w+", plain)) - {"IN", "AND"})


# --- the migrations of the program


def test_both_schemas_are_the_same(
    sqlite_settings: DatabaseSettings, postgres_settings: DatabaseSettings
) -> None:
    """Tables, columns with type, nullability and default, keys, unique constraints, indexes."""
    sqlite_tables, postgres_tables = tables(sqlite_settings), tables(postgres_settings)
    assert sqlite_tables == postgres_tables
    assert {"users", "workflow_states", "schema_migrations"} <= set(sqlite_tables)


def test_both_databases_have_the_same_migrations() -> None:
    """Numbers and names agree, and no number is missing or given twice."""
    both = [[script[:2] for script in migrations.scripts(d)] for d in ("sqlite", "postgres")]
    assert both[0] == both[1]
    assert list(range(1, LATEST + 1)) == [number for number, _ in both[0]]


def test_tables_of_sqlite_are_strict(sqlite_settings: DatabaseSettings) -> None:
    """Otherwise a text fits into an integer column, which PostgreSQL refuses."""
    with connected(sqlite_settings) as connection:
        rows = connection.execute("PRAGMA table_list").fetchall()
    loose = {row[1] for row in rows if not row[5] and not row[1].startswith("sqlite_")}
    assert {"schema_migrations"} == loose  # made by one text for both databases


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
    return {name: table for name, table in found.items() if name != "schema_migrations"}


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
    assert {"a", "b", "schema_migrations"} == set(tables(empty))


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


def test_an_interrupted_migration_leaves_nothing(
    empty: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before the failing statement is undone, earlier migrations stay."""
    broken = Script(2, "broken", f"{SECOND.up}\nINSERT INTO nowhere VALUES (1);", "")
    use(monkeypatch, FIRST, broken)
    with pytest.raises(ApplianceError, match="0002_broken failed and left nothing"):
        migrations.up(empty)
    assert {"a", "schema_migrations"} == set(tables(empty))
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
    assert {"a", "b", "schema_migrations"} == set(tables(empty))


def test_rows_survive_the_replacement_of_their_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite changes a table by replacing it, which must not delete those that refer to it."""
    first = Script(
        1,
        "first",
        "CREATE TABLE a (id INTEGER PRIMARY KEY);"
        "CREATE TABLE b (a INTEGER REFERENCES a (id) ON DELETE CASCADE);"
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);",
        "",
    )
    replace = "CREATE TABLE c (id INTEGER PRIMARY KEY); {} DROP TABLE a; ALTER TABLE c RENAME TO a;"
    settings = DatabaseSettings(path=str(tmp_path / "app.db"))
    use(monkeypatch, first, Script(2, "empty", replace.format(""), ""))
    with pytest.raises(Conflict, match="0002_empty"):
        migrations.up(settings)
    use(monkeypatch, first, Script(2, "full", replace.format("INSERT INTO c SELECT * FROM a;"), ""))
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
    ],
)
def test_a_file_that_breaks_the_rules_is_refused(file: str, text: str) -> None:
    """A migration that would be skipped in silence is worse than none."""
    with pytest.raises(ValueError, match="NNNN_words"):
        migrations.parse(file, text)
