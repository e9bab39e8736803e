"""What the audit log keeps, and who may read it."""

from __future__ import annotations

import pytest

from appliance.errors import Conflict, Forbidden, InvalidInput
from appliance.operations import audit
from appliance.operations.actors import SYSTEM, Actor
from appliance.operations.audit import list_audit
from appliance.store.database import Database, Transaction, settle

pytestmark = pytest.mark.anyio
ADA = Actor("u1", "ada@example.com", "user")


async def note(db: Database, actor: Actor, action: str, subject: str = "") -> None:
    await settle(db.write(lambda tx: audit.record(tx, actor, action, subject)))


async def test_an_entry_says_who_did_what(db: Database) -> None:
    """Details are JSON of any depth, the time is RFC 3339, the newest comes first."""
    details = {"size": 5, "names": ["ü", None]}
    await note(db, SYSTEM, "first")
    await settle(db.write(lambda tx: audit.record(tx, ADA, "backup.created", "b1", details)))

    entry, first = (await list_audit(db, SYSTEM)).items
    assert ("u1", "ada@example.com") == (entry["actor"], entry["actor_email"])
    assert ("backup.created", "b1", details) == (
        entry["action"],
        entry["subject"],
        entry["details"],
    )
    assert entry["at"].endswith("Z")
    assert ("system", {}) == (first["actor"], first["details"])


async def test_only_admins_read_it(db: Database) -> None:
    """It names people and addresses."""
    with pytest.raises(Forbidden):
        await list_audit(db, ADA)


async def test_pages_and_filters_combine(db: Database) -> None:
    """Following the cursor of a filtered listing shows each entry once and no other."""
    for n in range(5):
        await note(db, ADA, "a", str(n))
        await note(db, SYSTEM, "a")
        await note(db, ADA, "b")

    first = await list_audit(db, SYSTEM, action="a", by="u1", limit=3)
    second = await list_audit(db, SYSTEM, action="a", by="u1", limit=3, cursor=first.next_cursor)
    subjects = [entry["subject"] for entry in [*first.items, *second.items]]
    assert ["4", "3", "2", "1", "0"] == subjects
    assert second.next_cursor is None
    with pytest.raises(InvalidInput):
        await list_audit(db, SYSTEM, cursor="?")


async def test_an_entry_shares_the_fate_of_what_it_notes(db: Database) -> None:
    """When the work fails, nothing says that it was done."""

    def work(tx: Transaction) -> None:
        audit.record(tx, ADA, "a", "s")
        raise Conflict

    with pytest.raises(Conflict):
        await settle(db.write(work))
    assert [] == (await list_audit(db, SYSTEM)).items
