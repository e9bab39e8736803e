"""Reserving: a database that no server may use for a while, for commands that change it as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from appliance.config import DatabaseSettings
from appliance.store import open_database
from appliance.store.datadir import DataDirectory, held


@contextmanager
def alone(settings: DatabaseSettings, directory: Path | None) -> Iterator[None]:
    """Let no server use the database for this block, nor the data *directory* beside it.

    Raises: Locked, InvalidConfiguration, Unavailable.
    """
    with ExitStack() as stack:
        if directory is not None:
            data = DataDirectory(directory)
            data.prepare()
            stack.enter_context(held(data, settings.path))
        if settings.driver == "postgres":
            database = open_database(settings)
            stack.callback(database.close)
            database.claim(alone=True)
        yield
