"""How long messages live, and which of them survive the process."""

from __future__ import annotations

import pytest

from appliance.config import DatabaseSettings
from appliance.language.model import Memory
from appliance.memory.home import TIDY_EVERY
from appliance.store import open_database
from appliance.store.database import Database
from appliance.store.memories import MemoryKeys, MemoryMessages

from .conftest import MakeDesk
from .desk import Desk

pytestmark = pytest.mark.anyio

BRIEF = Memory(id="brief", ttl=60.5)


def stored(db: Database, key: str = "k") -> tuple[bool, int]:
    """Tell whether the key has a row, and how many messages have."""
    row = db.read(lambda tx: MemoryKeys(tx).get("brief", key)).result()
    found = db.read(lambda tx: MemoryMessages(tx, "brief", key).part(limit=99, offset=0)).result()
    return row is not None, len(found)


async def test_messages_live_from_the_last_write(desk_of: MakeDesk) -> None:
    """To read or to flush makes nothing live longer."""
    desk = desk_of(BRIEF)
    await desk.do("append", payload="1")
    desk.time.pass_by(60)
    assert ["1"] == await desk.texts()
    await desk.do("append", payload="2")
    desk.time.pass_by(60)
    await desk.do("flush", force=True)
    assert ["2"] == await desk.texts()
    desk.time.pass_by(0.5)
    assert [] == await desk.texts()


@pytest.mark.parametrize("operation", ["read", "stats", "health", "delete"])
async def test_what_has_expired_goes_when_it_is_touched(
    desk_of: MakeDesk, db: Database, operation: str
) -> None:
    """It is as if it were not there, and then it is not."""
    desk = desk_of(BRIEF)
    await desk.do("append", payload=["1", "2"])
    desk.time.pass_by(61)
    assert (True, 2) == stored(db)
    answer = await desk.do(operation)
    assert 0 == answer.get("count", answer.get("message_count", 0))
    assert (False, 0) == stored(db)


@pytest.mark.parametrize("operation", ["append", "write"])
async def test_a_new_message_begins_anew(desk_of: MakeDesk, operation: str) -> None:
    """Expired ones do not come back with it."""
    desk = desk_of(BRIEF)
    await desk.do("append", payload=["1", "2"])
    desk.time.pass_by(61)
    await desk.do(operation, payload="3")
    assert ["3"] == await desk.texts()
    assert 1 == (await desk.do("stats"))["message_count"]


async def test_expired_keys_are_not_listed_and_not_copied(desk_of: MakeDesk) -> None:
    """Nor counted, nor flushed."""
    desk = desk_of(BRIEF)
    await desk.do("append", payload=["1", "2"])
    desk.time.pass_by(61)
    assert [] == await desk.calls.keys("brief", after="", limit=9)
    assert [0] == [memory["message_count"] for memory in await desk.calls.survey()]
    assert 0 == (await desk.do("flush", force=True))["message_count"]
    assert not (await desk.do("clear", confirm=True, backup=True))["backup_created"]


async def test_nobody_has_to_ask_for_what_has_expired(desk_of: MakeDesk, db: Database) -> None:
    """Who writes something else now and then removes it."""
    desk = desk_of(BRIEF)
    await desk.do("append", payload=["1", "2"])
    desk.time.pass_by(61)
    for _ in range(TIDY_EVERY):
        await desk.do("append", key="other", payload="x")
    assert (False, 0) == stored(db)
    assert (True, 99) == stored(db, "other")


async def test_a_persistent_memory_survives_the_process(sqlite_settings: DatabaseSettings) -> None:
    """The other kind is gone, and was never in the file."""
    memories = [Memory(id="kept"), Memory(id="lost", persistent=False)]
    db = open_database(sqlite_settings)
    desk = Desk(db, *memories)
    for name in ("kept", "lost"):
        await desk.do("append", memory_ref=name, payload="x")
        assert ["x"] == await desk.texts(memory_ref=name)
    assert db.read(lambda tx: MemoryKeys(tx).get("lost", "k")).result() is None
    desk.calls.close()
    db.close()

    db = open_database(sqlite_settings)
    desk = Desk(db, *memories)
    assert ["x"] == await desk.texts(memory_ref="kept")
    assert [] == await desk.texts(memory_ref="lost")
    desk.calls.close()
    db.close()
