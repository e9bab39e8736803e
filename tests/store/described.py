"""The schema of a database in words that mean the same on both databases."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from appliance.config import DatabaseSettings


@contextlib.contextmanager
def connected(settings: DatabaseSettings) -> Iterator[Any]:
    """Connect past everything of ours."""
    if settings.driver == "sqlite":
        with contextlib.closing(sqlite3.connect(settings.path, isolation_level=None)) as connection:
            yield connection
    else:
        with psycopg.connect(settings.conninfo, autocommit=True) as connection:
            yield connection


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
