"""Migrations: numbered steps of the schema, up and down, each in one transaction with its note."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from appliance import clock
from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, DatabaseTooNew, InvalidConfiguration
from appliance.store.database import Transaction
from appliance.store.faults import BrokenOff
from appliance.store.schema import Schema, SqliteSchema, opened
from appliance.store.sqlite_session import MEMORY
from appliance.store.transaction import OpenTransaction

ATTEMPTS = 4
"""How often a migration is begun that was broken off for the sake of others."""

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_SECTIONS = re.compile(r"(?:-- since (\d+)\n)?-- up\n(.*)^-- down\n(.*)", re.DOTALL | re.MULTILINE)


class Script(NamedTuple):
    """A migration as it is written."""

    number: int
    name: str
    since: int
    """The newest migration of the oldest program that may use the schema after this one."""
    up: str
    down: str


class Migration(NamedTuple):
    """A migration and when it was applied, in microseconds since the epoch; None is not yet."""

    number: int
    name: str
    since: int
    """As in `Script`; its own number where the ledger does not tell."""
    applied_at_us: int | None


def up(settings: DatabaseSettings, *, reserved: bool = False) -> list[Migration]:
    """Apply what is missing and return it. What was applied before a failure stays applied.

    Servers on PostgreSQL may go on meanwhile if they can follow. Whoever *reserved* the database has
    seen to it that there are none.

    Raises: DatabaseTooNew, Locked where servers run that cannot follow, the errors of the statement
    that failed, Unavailable.
    """
    with opened(settings) as schema:
        missing = _missing(schema, settings.driver)
        if missing and not reserved:
            schema.reserve(max(script.since for script in missing))
        return _apply(schema, missing)


def down(settings: DatabaseSettings, to: int) -> list[Migration]:
    """Take back all migrations above number *to*, newest first, with the data in what they made.

    Raises: DatabaseTooNew also where this program can use what it does not know, the errors of the
    statement that failed, Unavailable.
    """
    with opened(settings) as schema:
        found = _look(schema)
        _require_known(found)
        numbers = {migration.number for migration in found}
        return [
            _step(schema, script, applied=False)
            for script in reversed(scripts(settings.driver))
            if script.number > to and script.number in numbers
        ]


def status(settings: DatabaseSettings) -> list[Migration]:
    """Return every migration of this program, and of newer ones that were applied, in order.

    Nothing is written. Raises: DatabaseTooNew, Unavailable.
    """
    rows = {s.number: Migration(*s[:3], None) for s in scripts(settings.driver)}
    if settings.driver == "postgres" or Path(settings.path).exists():
        with opened(settings, read_only=True) as schema:
            rows |= {migration.number: migration for migration in _look(schema)}
    return [rows[number] for number in sorted(rows)]


def check(settings: DatabaseSettings) -> None:
    """Raise InvalidConfiguration when migrations are missing, DatabaseTooNew as `require_usable`."""
    missing = [step for step in status(settings) if step.applied_at_us is None]
    if missing and settings.path != MEMORY:
        names = ", ".join(f"{step.number:04}_{step.name}" for step in missing)
        raise InvalidConfiguration(f"The database lacks {names}; run `compozy.pyz migrate up`.")


def require_known(settings: DatabaseSettings) -> None:
    """Raise DatabaseTooNew when a migration was applied that this program does not know.

    It may be able to use such a database, but not to take it back, nor to copy all that is in it.
    """
    _require_known(status(settings))


def require_usable(found: Iterable[Migration], what: str = "The database") -> None:
    """Raise DatabaseTooNew unless this program may use *what*, to which these were applied."""
    strictest = max(_unknown(found), key=lambda migration: migration.since, default=None)
    if strictest is not None and strictest.since > latest():
        raise DatabaseTooNew(
            f"{what} has migration {strictest.number}, which only programs can use that know"
            f" migration {strictest.since}, and this one ends with {latest()}; use the newer version"
            " of the program that wrote it."
        )


def applied(tx: Transaction) -> list[Migration]:
    """Return what the ledger of the database says, oldest first."""
    if tx.one("has_table", name="schema_migrations") is None:
        return []
    since: dict[int, int] = {}
    if tx.one("has_table", name="schema_compatibility") is not None:
        since = {row["version"]: row["since"] for row in tx.all("list_schema_compatibility")}
    return [
        Migration(
            row["version"],
            row["name"],
            since.get(row["version"], row["version"]),
            row["applied_at"],
        )
        for row in tx.all("list_schema_migrations")
    ]


def latest() -> int:
    """Return the number of the newest migration of this program, 0 when it has none."""
    return max((script.number for script in scripts("sqlite")), default=0)


def prepare(connection: sqlite3.Connection) -> None:
    """Apply everything to a new database in memory, which nobody else can reach."""
    _apply(SqliteSchema(connection, MEMORY), scripts("sqlite"))


@cache
def scripts(driver: str) -> tuple[Script, ...]:
    """Return the migrations for *driver* in order. Raises ValueError when a file breaks the rules."""
    found = sorted(_folder(driver).iterdir(), key=lambda file: file.name)
    return tuple(parse(file.name, file.read_text(encoding="utf-8")) for file in found)


def parse(file: str, text: str) -> Script:
    """Return the migration in a file. Raises ValueError."""
    name, sections = _FILE.fullmatch(file), _SECTIONS.fullmatch(text)
    if name is None or sections is None:
        raise ValueError(f"{file} must be named NNNN_words.sql and have `-- up` and `-- down`")
    number = int(name[1])
    since = int(sections[1] or number)
    if since > number:
        raise ValueError(f"{file} says `-- since {since}`, which is after itself")
    return Script(number, name[2], since, sections[2], sections[3])


def _folder(driver: str) -> Traversable:
    packaged = files("appliance") / "migrations"
    checkout = Path(__file__).parents[2] / "migrations"
    return (packaged if packaged.is_dir() else checkout) / driver


def _missing(schema: Schema, driver: str) -> list[Script]:
    found = {migration.number for migration in _look(schema)}
    return [script for script in scripts(driver) if script.number not in found]


def _apply(schema: Schema, missing: Iterable[Script]) -> list[Migration]:
    return [_step(schema, script, applied=True) for script in missing]


def _step(schema: Schema, script: Script, *, applied: bool) -> Migration:
    migration = Migration(*script[:3], clock.now_us() if applied else None)

    def step(ledger: OpenTransaction) -> None:
        ledger.run("create_schema_migrations")
        ledger.run("create_schema_compatibility")
        done = {row["version"] for row in ledger.all("list_schema_migrations")}
        if (script.number in done) == applied:
            return  # another process was faster
        schema.execute(script.up if applied else script.down)
        (_note if applied else _forget)(ledger, migration)

    try:
        _repeatedly(lambda: schema.atomically(step))
    except ApplianceError as error:
        message = f"Migration {script.number:04}_{script.name} failed and left nothing behind: "
        raise type(error)(message + error.message) from error
    return migration


def _repeatedly(apply: Callable[[], None]) -> None:
    """Apply something again where PostgreSQL broke it off: a server that goes on locks the same tables."""
    for _ in range(ATTEMPTS - 1):
        try:
            return apply()
        except BrokenOff:
            continue
    return apply()


def _note(ledger: Transaction, migration: Migration) -> None:
    number, name, since, applied_at_us = migration
    ledger.run("insert_schema_migration", version=number, name=name, applied_at=applied_at_us)
    ledger.run("insert_schema_compatibility", version=number, since=since)


def _forget(ledger: Transaction, migration: Migration) -> None:
    ledger.run("delete_schema_migration", version=migration.number)
    ledger.run("delete_schema_compatibility", version=migration.number)


def _look(schema: Schema) -> list[Migration]:
    """Return what was applied, oldest first. Raises DatabaseTooNew."""
    found: list[Migration] = []
    schema.atomically(lambda ledger: found.extend(applied(ledger)))
    require_usable(found)
    return found


def _require_known(found: Iterable[Migration]) -> None:
    unknown = _unknown(found)
    if unknown:
        raise DatabaseTooNew(
            f"The database has migration {unknown[-1].number}, which this program can work with but"
            " does not know; for this use the version of the program that wrote it."
        )


def _unknown(found: Iterable[Migration]) -> list[Migration]:
    known = {script.number for script in scripts("sqlite")}
    return [migration for migration in found if migration.number not in known]
