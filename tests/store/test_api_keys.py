"""What every database promises about API keys."""

from __future__ import annotations

import pytest

from appliance import ids
from appliance.errors import ApplianceError, Conflict
from appliance.store.api_keys import ApiKeys
from appliance.store.database import Database, Row

from .identities import add_key, add_user


def get(db: Database, key_id: str) -> Row:
    row = db.read(lambda tx: ApiKeys(tx).get(key_id)).result()
    assert row is not None
    return row


def test_a_key_is_found_by_id(db: Database) -> None:
    """What was inserted is read back, but for the digest; nothing was used yet."""
    user_id = add_user(db)
    key_id, _ = add_key(db, user_id, name="ci", description="for builds", expires_at=9, prefix="p")

    assert {
        "id": key_id,
        "user_id": user_id,
        "prefix": "p",
        "name": "ci",
        "description": "for builds",
        "role": "user",
        "created_at": 2_000_000,
        "expires_at": 9,
        "last_used_at": None,
    } == dict(get(db, key_id))


def test_a_digest_leads_to_the_user(db: Database) -> None:
    """One look-up tells who holds the key and what limits it."""
    user_id = add_user(db, role="admin")
    key_id, digest = add_key(db, user_id, expires_at=9)

    assert {
        "user_id": user_id,
        "email": "ada@example.com",
        "user_role": "admin",
        "key_id": key_id,
        "key_role": "user",
        "digest": digest,
        "expires_at": 9,
    } == dict(db.read(lambda tx: ApiKeys(tx).holder(digest)).result() or {})


def test_a_missing_key_is_none(db: Database) -> None:
    """Nothing is found or deleted where there is nothing."""
    assert db.read(lambda tx: ApiKeys(tx).get(ids.new_id())).result() is None
    assert db.read(lambda tx: ApiKeys(tx).holder("0" * 64)).result() is None
    assert not db.write(lambda tx: ApiKeys(tx).delete(ids.new_id())).result()


def test_a_key_needs_a_user(db: Database) -> None:
    """The database itself refuses a key of nobody."""
    with pytest.raises(ApplianceError):
        add_key(db, ids.new_id())


def test_a_digest_is_unique(db: Database) -> None:
    """Two keys cannot have the same text."""
    user_id = add_user(db)
    add_key(db, user_id, digest="d")

    with pytest.raises(Conflict):
        add_key(db, user_id, digest="d")


def test_only_two_roles_exist(db: Database) -> None:
    """The database itself refuses the role `guest`."""
    user_id = add_user(db)
    with pytest.raises(ApplianceError):
        add_key(db, user_id, role="guest")


def test_touching_never_goes_back(db: Database) -> None:
    """The last use is the latest that anybody noted; keys that are gone do not matter."""
    key_id, _ = add_key(db, add_user(db))

    def touch(at: int) -> int:
        used = {key_id: at, ids.new_id(): at}
        db.write(lambda tx: ApiKeys(tx).touch(used)).result()
        last: int = get(db, key_id)["last_used_at"]
        return last

    assert [50, 50, 60] == [touch(50), touch(40), touch(60)]


def test_a_key_is_deleted(db: Database) -> None:
    """A deleted key is not found by its digest, while its user's other keys are."""
    user_id = add_user(db)
    gone, digest = add_key(db, user_id)
    _, other = add_key(db, user_id)

    assert db.write(lambda tx: ApiKeys(tx).delete(gone)).result()

    assert db.read(lambda tx: ApiKeys(tx).holder(digest)).result() is None
    assert db.read(lambda tx: ApiKeys(tx).holder(other)).result() is not None


def test_pages_follow_each_other(db: Database) -> None:
    """A page begins after the id where the last one ended, for one user or all."""
    ada, bob = add_user(db), add_user(db, "bob@example.com")
    keys = [add_key(db, user_id)[0] for user_id in (ada, bob, ada, ada)]

    def page(user_id: str | None, after: str, limit: int) -> list[str]:
        rows = db.read(
            lambda tx: ApiKeys(tx).page(user_id=user_id, after=after, limit=limit)
        ).result()
        return [row["id"] for row in rows]

    assert keys[:3] == page(None, "", 3)
    assert keys[3:] == page(None, keys[2], 3)
    assert [keys[0], keys[2]] == page(ada, "", 2)
    assert [keys[3]] == page(ada, keys[2], 2)
    assert [keys[1]] == page(bob, "", 2)
