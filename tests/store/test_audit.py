"""What every database promises about the audit log."""

from __future__ import annotations

from appliance import ids
from appliance.store.audit import Audit
from appliance.store.database import Database, Param


def add(db: Database, **more: Param) -> str:
    row: dict[str, Param] = {
        "id": ids.new_id(),
        "at": 5,
        "actor": "u1",
        "actor_email": "ada@example.com",
        "action": "key.created",
        "subject": "k1",
        "details": '{"prefix":"ü"}',
        **more,
    }
    db.write(lambda tx: Audit(tx).insert(row)).result()
    return str(row["id"])


def page(db: Database, *, action: str = "", actor: str = "", before: str = "g") -> list[str]:
    rows = db.read(
        lambda tx: Audit(tx).page(action=action, actor=actor, before=before, limit=2)
    ).result()
    return [row["id"] for row in rows]


def test_an_entry_is_read_as_it_was_written(db: Database) -> None:
    """No field is lost, and the details keep their text."""
    entry = add(db)

    rows = db.read(lambda tx: Audit(tx).page(action="", actor="", before="g", limit=1)).result()
    assert {
        "id": entry,
        "at": 5,
        "actor": "u1",
        "actor_email": "ada@example.com",
        "action": "key.created",
        "subject": "k1",
        "details": '{"prefix":"ü"}',
    } == dict(rows[0])


def test_pages_go_from_the_newest_back(db: Database) -> None:
    """A page begins before the id where the last one ended."""
    entries = [add(db) for _ in range(3)]

    assert [entries[2], entries[1]] == page(db)
    assert [entries[0]] == page(db, before=entries[1])


def test_filters_are_exact(db: Database) -> None:
    """An action or actor shows only its own entries; both together show what meets both."""
    one = add(db, action="login.failed")
    two = add(db, actor="u2")

    assert [one] == page(db, action="login.failed")
    assert [two] == page(db, actor="u2")
    assert [] == page(db, action="login.failed", actor="u2")
    assert [] == page(db, action="login")
