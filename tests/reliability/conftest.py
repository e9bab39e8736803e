"""What every scenario gets: a seed, a database of either kind, and a place for its verdict."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from appliance.config import DatabaseSettings

from .verdict import PROPERTY, Verdict


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the scenarios, which `make reliability` runs in full."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("scenario")


@pytest.fixture
def seed() -> str:
    """What random things are chosen by; `RELIABILITY_SEED` repeats a run."""
    chosen = os.environ.get("RELIABILITY_SEED") or str(random.randrange(2**32))
    print(f"seed {chosen}: set RELIABILITY_SEED to repeat")
    return chosen


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> DatabaseSettings:
    """A migrated database, one after the other of each kind."""
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """A database without anything in it, one after the other of each kind."""
    if request.param == "sqlite":
        return DatabaseSettings(driver="sqlite", path=str(tmp_path / "app.db"))
    settings: DatabaseSettings = request.getfixturevalue("empty_postgres")
    return settings


@pytest.fixture
def conclude(record_property: Callable[[str, object], None]) -> Callable[[Verdict], None]:
    """Put a verdict into the table at the end, and fail when anything was found."""

    def end(verdict: Verdict) -> None:
        record_property(PROPERTY, msgspec.json.encode(verdict).decode())
        assert [] == verdict.findings.all

    return end
