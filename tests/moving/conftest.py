"""Two databases: one to move from, one to move to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.config import DatabaseSettings


class Ends(NamedTuple):
    """Where rows come from and where they go to; both are migrated and empty."""

    source: DatabaseSettings
    target: DatabaseSettings


@pytest.fixture
def other_sqlite(tmp_path: Path, migrated_sqlite: Path) -> DatabaseSettings:
    """A second migrated SQLite file, in a directory of its own."""
    home = tmp_path / "other"
    home.mkdir(0o700)
    return DatabaseSettings(path=str(shutil.copy(migrated_sqlite, home / "app.db")))


@pytest.fixture(params=["sqlite to postgres", "postgres to sqlite", "sqlite to sqlite"])
def ends(request: pytest.FixtureRequest, other_sqlite: DatabaseSettings) -> Ends:
    """Every way that a move can take, but the one between two servers of PostgreSQL."""
    source, _, target = str(request.param).partition(" to ")
    found: DatabaseSettings = request.getfixturevalue(f"{source}_settings")
    if target == "sqlite":
        return Ends(found, other_sqlite)
    return Ends(found, request.getfixturevalue(f"{target}_settings"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The data directory of the source."""
    (tmp_path / "data").mkdir(0o700)
    return tmp_path / "data"
