"""What every database promises about stored definitions."""

from __future__ import annotations

import pytest

from appliance.errors import Conflict, VersionConflict
from appliance.store.database import Database
from appliance.store.resources import Resources


def insert(db: Database, kind: str, name: str, text: str = "id: x") -> None:
    db.write(lambda tx: Resources(tx).insert(kind, name, text, at_us=5, actor="ada")).result()


def test_a_definition_is_kept_as_it_was_written(db: Database) -> None:
    """Text, author and time come back; a change moves the version and keeps who made it first."""
    text = "id: größe  # with a comment\n"
    insert(db, "tool", "größe", text)
    change = {"version": 1, "at_us": 9, "actor": "bob"}
    db.write(lambda tx: Resources(tx).update("tool", "größe", "id: größe", **change)).result()  # type: ignore[arg-type]

    assert [
        {
            "kind": "tool",
            "id": "größe",
            "text": "id: größe",
            "version": 2,
            "created_at": 5,
            "created_by": "ada",
            "updated_at": 9,
            "updated_by": "bob",
        }
    ] == [dict(row) for row in db.read(lambda tx: Resources(tx).all()).result()]


def test_a_definition_has_one_text(db: Database) -> None:
    """Kind and id together are unique; the same id in two kinds is two definitions."""
    insert(db, "tool", "x")
    insert(db, "task", "x")
    with pytest.raises(Conflict):
        insert(db, "tool", "x")
    rows = db.read(lambda tx: Resources(tx).all()).result()
    assert [("task", "x"), ("tool", "x")] == [(row["kind"], row["id"]) for row in rows]


def test_a_change_of_what_has_changed_is_refused(db: Database) -> None:
    """Whoever names a version that is gone changes and deletes nothing."""
    insert(db, "tool", "x")
    with pytest.raises(VersionConflict):
        db.write(
            lambda tx: Resources(tx).update("tool", "x", "", version=2, at_us=1, actor="bob")
        ).result()
    with pytest.raises(VersionConflict):
        db.write(lambda tx: Resources(tx).delete("tool", "x", version=2)).result()
    db.write(lambda tx: Resources(tx).delete("tool", "x", version=1)).result()
    assert [] == db.read(lambda tx: Resources(tx).all()).result()
