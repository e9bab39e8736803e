"""Desks over every kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from appliance.language.model import Memory
from appliance.store.database import Database

from .desk import Desk

MakeDesk = Callable[..., Desk]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def desk_of(db: Database) -> Iterator[MakeDesk]:
    """Make a desk for memories over the database of the test."""
    desks: list[Desk] = []

    def make(*memories: Memory) -> Desk:
        desks.append(Desk(db, *memories))
        return desks[-1]

    yield make
    for desk in desks:
        desk.calls.close()


@pytest.fixture
def desk(desk_of: MakeDesk) -> Desk:
    """A desk for a memory of four messages."""
    return desk_of(Memory(id="chat", max_messages=4))
