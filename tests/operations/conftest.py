"""An identity over every kind of database, and a clock that moves only when told."""

from __future__ import annotations

import pytest

from appliance.operations.identity import Identity
from appliance.store.database import Database

from .people import Time


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def identity(db: Database, time: Time) -> Identity:
    return Identity(db, now_us=time.now_us, monotonic=time.monotonic)
