"""A small process that writes into a data directory and says of each thing when it is safe.

    python -m tests.reliability.clerk DIRECTORY FIRST LAST [SABOTAGE]

It is the store of the product and nothing else. Texts with numbers are stored by a few threads; some
are stored again with a higher version, and so is a secret in a file of its own. Between
them the database is closed and opened, and its log moved into the file much earlier than usual.
A line `text NAME VERSION` or `secret NAME VERSION` on standard output is an acknowledgement.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError
from appliance.store import migrations, open_database, sqlite_session
from appliance.store.database import Database, Transaction
from appliance.store.datadir import DataDirectory
from appliance.store.resources import Resources

from .sabotage import SABOTAGES

LANES = 4
SECRET = "admin.key"
SITTINGS = 3
"""How often the database is opened and closed."""


@cache
def text_of(name: str, version: int) -> str:
    """Return what is stored: from a few bytes to some pages, and never the same."""
    return f"{name} {version} " * random.Random(f"{name}-{version}").choice((1, 1, 50, 1500))


def main() -> None:
    """Store everything; leave with the exit code that the product would leave with."""
    directory, first, last, *sabotage = sys.argv[1:]
    for name in sabotage:
        SABOTAGES[name]()
    sqlite_session.CHECKPOINT_AFTER_ROWS = 40
    try:
        _write(DataDirectory(Path(directory)), range(int(first), int(last)))
    except ApplianceError as error:
        sys.exit(error.exit_code)


def _write(data: DataDirectory, numbers: range) -> None:
    data.prepare()
    settings = DatabaseSettings(path=str(data.path / "app.db"))
    with data.lock():
        migrations.up(settings)
        for sitting in range(SITTINGS):
            database = open_database(settings)
            try:
                _sit(database, numbers[sitting::SITTINGS])
            finally:
                database.close()
            version = numbers.start + sitting + 1
            data.write_secret(SECRET, text_of(SECRET, version))
            _say("secret", SECRET, version)


def _sit(database: Database, numbers: Iterable[int]) -> None:
    with ThreadPoolExecutor(LANES) as lanes:
        for _ in lanes.map(partial(_store, database), numbers):
            pass


def _store(database: Database, number: int) -> None:
    name = f"t{number}"
    database.write(
        lambda tx: Resources(tx).insert("text", name, text_of(name, 1), at_us=0, actor="clerk")
    ).result()
    _say("text", name, 1)
    for version in range(1, 1 + number % 3):
        database.write(partial(_again, name=name, version=version)).result()
        _say("text", name, version + 1)


def _again(tx: Transaction, *, name: str, version: int) -> None:
    text = text_of(name, version + 1)
    Resources(tx).update("text", name, text, version=version, at_us=0, actor="clerk")


def _say(*words: object) -> None:
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


if __name__ == "__main__":
    main()
