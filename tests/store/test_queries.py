"""Named queries: the rules of the files, and every query of the program on both databases."""

from __future__ import annotations

import ast
import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance import store
from appliance.config import DatabaseSettings
from appliance.store import migrations, queries
from tests.postgres_server import PostgresServer

QUERIES = queries.every()
VARIANT_LIMIT = 0.10
VERBS = ("run", "many", "one", "all")


def _compile(text: str, dialect: str) -> dict[str, str]:
    return queries.compiled(queries.parse(text, "test.sql"), dialect)


def test_a_block_is_a_name_a_purpose_and_a_statement() -> None:
    """What stands in a file is found again, without the semicolon."""
    text = (
        "-- name: first\n-- Why.\n-- More why.\nSELECT 1;\n\n-- name: second\n-- Why.\nSELECT 2\n"
    )
    found = queries.parse(text, "test.sql")
    assert [("first", "SELECT 1"), ("second", "SELECT 2")] == [(q.name, q.text) for q in found]
    assert found[0].purpose == "-- Why.\n-- More why."


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "-- name: a\nSELECT 1",
        "-- name: a\n-- Why.\n",
        "-- name: A b\n-- Why.\nSELECT 1",
        "-- name: a (mysql)\n-- Why.\nSELECT 1",
        "-- name:\n-- Why.\nSELECT 1",
    ],
)
def test_a_file_that_breaks_the_rules_is_refused(text: str) -> None:
    """No name, no purpose, no statement, a strange dialect: the program does not start."""
    with pytest.raises(ValueError, match=r"test\.sql"):
        queries.parse(text, "test.sql")


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        (["q"], True),
        (["q (sqlite)", "q (postgres)"], True),
        (["q (postgres only)"], True),
        (["q (sqlite)"], False),
        (["q", "q"], False),
        (["q", "q (sqlite)"], False),
        (["q (sqlite)", "q (postgres)", "q (postgres)"], False),
        (["q (sqlite)", "q (postgres only)"], False),
    ],
)
def test_a_query_has_one_text_or_both_variants(headers: list[str], *, fine: bool) -> None:
    """A variant without the other is a query that one database lacks."""
    text = "".join(f"-- name: {header}\n-- Why.\nSELECT 1\n" for header in headers)
    found = queries.parse(text, "test.sql")
    if fine:
        queries.verify(found)
    else:
        with pytest.raises(ValueError, match="'q'"):
            queries.verify(found)


def test_parameters_take_the_form_of_the_driver() -> None:
    """Quoted text, comments and casts are no parameters; psycopg sees no stray percent sign."""
    statement = (
        "SELECT :a, ':b %', \"c:d\", :e::text, 'it''s :f' -- :g %\n"
        " /* :h */ FROM t WHERE x % :a = 0 AND y LIKE '%z'"
    )
    text = f"-- name: q\n-- Why.\n{statement}"
    assert statement == _compile(text, "sqlite")["q"]
    expected = (
        "SELECT %(a)s, ':b %%', \"c:d\", %(e)s::text, 'it''s :f' -- :g %%\n"
        " /* :h */ FROM t WHERE x %% %(a)s = 0 AND y LIKE '%%z'"
    )
    assert expected == _compile(text, "postgres")["q"]


def test_variants_are_rare(record_property: Callable[[str, object], None]) -> None:
    """Two texts can drift apart: at most one query in ten may have them."""
    names = {query.name for query in QUERIES}
    variants = {query.name for query in QUERIES if query.dialect and not query.only}
    share = len(variants) / len(names)
    print(f"\n{len(variants)} of {len(names)} queries have variants: {share:.0%}")
    record_property("variants", share)
    assert len(names) > 20
    assert share <= VARIANT_LIMIT


def test_a_server_names_the_columns_that_it_reads() -> None:
    """Another version may add some meanwhile: PostgreSQL refuses a prepared `*` then (0A000).

    Whole tables are read by commands, with a connection of their own.
    """
    every_column = re.compile(r"\*\s+FROM (?!fresh)")
    assert [] == [
        query.name
        for query in QUERIES
        if every_column.search(query.text) and not query.name.startswith("all_")
    ]


def test_every_query_is_used_and_every_used_query_exists() -> None:
    """A name in Python and a name in SQL are the same name."""
    names = {query.name for query in QUERIES}
    called: set[str] = set()
    written: set[str] = set()
    for path in Path(store.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=verb), args=[ast.Constant(value=str(name)), *_]
                ) if verb in VERBS:
                    called.add(name)
                case ast.Constant(value=str(text)):
                    written.add(text)
    assert set() == called - names
    assert set() == names - written


def test_no_query_is_run_outside_the_store() -> None:
    """Repositories know the queries; the layers above know the repositories."""
    names = {query.name for query in QUERIES}
    package = Path(store.__file__).parents[1]
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "store"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=verb), args=[ast.Constant(value=str(name)), *_]
                ) if verb in VERBS:
                    assert name not in names, f"{path}: {name}"


@pytest.mark.parametrize("name", sorted(queries.load("sqlite")))
def test_sqlite_understands_every_query(name: str, sqlite_schema: sqlite3.Connection) -> None:
    """No table, column or function is misspelt; no statement is outside the dialect."""
    text = queries.load("sqlite")[name]
    parameters = dict.fromkeys(re.findall(r":(\w+)", text))
    sqlite_schema.execute(f"EXPLAIN {text}", parameters)


@pytest.mark.parametrize("name", sorted(queries.load("postgres")))
def test_postgres_understands_every_query(
    name: str, postgres_schema: psycopg.Connection[Any]
) -> None:
    """No table, column or function is misspelt; no statement is outside the dialect."""
    text = queries.load("postgres")[name]
    parameters = dict.fromkeys(re.findall(r"%\((\w+)\)s", text))
    explain = "" if text.startswith("CREATE") else "EXPLAIN "
    with postgres_schema.transaction(force_rollback=True):
        postgres_schema.execute(f"{explain}{text}".encode(), parameters)


@pytest.fixture(scope="module")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A connection to a migrated SQLite file."""
    path = str(tmp_path_factory.mktemp("queries") / "app.db")
    migrations.up(DatabaseSettings(path=path))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield connection


@pytest.fixture(scope="module")
def postgres_schema(
    postgres_server: PostgresServer, migrated_postgres: str
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a migrated PostgreSQL database, in which nothing is kept."""
    with (
        postgres_server.database(migrated_postgres) as conninfo,
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        yield connection
