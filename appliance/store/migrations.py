"""Migrations: numbered steps of the schema, up and down, each in one transaction with its note."""

from __future__ import annotations

import re
import sqlite3
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from appliance import clock
from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, DatabaseTooNew, InvalidConfiguration
from appliance.store.schema import Schema, SqliteSchema, opened
from appliance.store.sqlite_session import MEMORY
from appliance.store.transaction import OpenTransaction

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_SECTIONS = re.compile(r"-- up\n(.*)^-- down\n(.*)", re.DOTALL | re.MULTILINE)


class Script(NamedTuple):
    """A migration as it is written."""

    number: int
    name: str
    up: str
    down: str


class Migration(NamedTuple):
    """A migration and when it was applied, in microseconds since the epoch; None is not yet."""

    number: int
    name: str
    applied_at_us: int | None


def up(settings: DatabaseSettings) -> list[Migration]:
    """Apply what is missing and return it. What was applied before a failure stays applied.

    Raises: DatabaseTooNew, the errors of the statement that failed, Unavailable.
    """
    with opened(settings) as schema:
        return _up(schema, scripts(settings.driver))


def down(settings: DatabaseSettings, to: int) -> list[Migration]:
    """Take back all migrations above number *to*, newest first, with the data in what they made.

    Raises: DatabaseTooNew, the errors of the statement that failed, Unavailable.
    """
    with opened(settings) as schema:
        applied = _known(schema, scripts(settings.driver))
        newest_first = reversed(scripts(settings.driver))
        return [
            _step(schema, script, script.down, applied=False)
            for script in newest_first
            if script.number > to and script.number in applied
        ]


def status(settings: DatabaseSettings) -> list[Migration]:
    """Return every migration of this program in order. Nothing is written.

    Raises: DatabaseTooNew, Unavailable.
    """
    if settings.driver == "sqlite" and not Path(settings.path).exists():
        return [Migration(script.number, script.name, None) for script in scripts("sqlite")]
    with opened(settings, read_only=True) as schema:
        applied = _known(schema, scripts(settings.driver))
    return [Migration(s.number, s.name, applied.get(s.number)) for s in scripts(settings.driver)]


def check(settings: DatabaseSettings) -> None:
    """Raise InvalidConfiguration when migrations are missing, DatabaseTooNew when there are others."""
    missing = [step for step in status(settings) if step.applied_at_us is None]
    if missing and settings.path != MEMORY:
        names = ", ".join(f"{step.number:04}_{step.name}" for step in missing)
        raise InvalidConfiguration(f"The database lacks {names}; run `compozy.pyz migrate up`.")


def latest() -> int:
    """Return the number of the newest migration of this program."""
    return scripts("sqlite")[-1].number


def prepare(connection: sqlite3.Connection) -> None:
    """Apply everything to a new database in memory, which nobody else can reach."""
    _up(SqliteSchema(connection, MEMORY), scripts("sqlite"))


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
    return Script(int(name[1]), name[2], sections[1], sections[2])


def _folder(driver: str) -> Traversable:
    packaged = files("appliance") / "migrations"
    checkout = Path(__file__).parents[2] / "migrations"
    return (packaged if packaged.is_dir() else checkout) / driver


def _up(schema: Schema, all_scripts: tuple[Script, ...]) -> list[Migration]:
    applied = _known(schema, all_scripts)
    missing = [script for script in all_scripts if script.number not in applied]
    return [_step(schema, script, script.up, applied=True) for script in missing]


def _step(schema: Schema, script: Script, text: str, *, applied: bool) -> Migration:
    at_us = clock.now_us()

    def step(ledger: OpenTransaction) -> None:
        ledger.run("create_schema_migrations")
        done = {row["version"] for row in ledger.all("list_schema_migrations")}
        if (script.number in done) == applied:
            return  # another process was faster
        schema.execute(text)
        if applied:
            number, name = script.number, script.name
            ledger.run("insert_schema_migration", version=number, name=name, applied_at=at_us)
        else:
            ledger.run("delete_schema_migration", version=script.number)

    try:
        schema.atomically(step)
    except ApplianceError as error:
        message = f"Migration {script.number:04}_{script.name} failed and left nothing behind: "
        raise type(error)(message + error.message) from error
    return Migration(script.number, script.name, at_us if applied else None)


def _known(schema: Schema, all_scripts: tuple[Script, ...]) -> dict[int, int]:
    """Return when each migration was applied, by number. Raises DatabaseTooNew."""
    applied: dict[int, int] = {}

    def look(ledger: OpenTransaction) -> None:
        if ledger.one("has_schema_migrations") is not None:
            for row in ledger.all("list_schema_migrations"):
                applied[row["version"]] = row["applied_at"]

    schema.atomically(look)
    strange = set(applied) - {script.number for script in all_scripts}
    if strange:
        raise DatabaseTooNew(
            f"The database has migration {max(strange)}, which this program does not know; use the"
            " newer version of the program that wrote it."
        )
    return applied
