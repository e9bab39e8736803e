"""What every database promises about sessions."""

from __future__ import annotations

import pytest

from appliance import ids
from appliance.errors import ApplianceError
from appliance.store.database import Database, Row
from appliance.store.sessions import Sessions

from .identities import add_user


def begin(db: Database, digest: str, user_id: str, expires_at: int = 10) -> None:
    db.write(
        lambda tx: Sessions(tx).insert(digest, user_id, created_at=1, expires_at=expires_at)
    ).result()


def holder(db: Database, digest: str) -> Row | None:
    return db.read(lambda tx: Sessions(tx).holder(digest)).result()


def test_a_digest_leads_to_the_user(db: Database) -> None:
    """One look-up tells whose session it is; a session allows what its user may do."""
    user_id = add_user(db, role="admin")
    begin(db, "d", user_id)

    assert {
        "user_id": user_id,
        "email": "ada@example.com",
        "user_role": "admin",
        "key_id": None,
        "key_role": "admin",
        "digest": "d",
        "expires_at": 10,
    } == dict(holder(db, "d") or {})
    assert holder(db, "other") is None


def test_a_session_needs_a_user(db: Database) -> None:
    """The database itself refuses a session of nobody."""
    with pytest.raises(ApplianceError):
        begin(db, "d", ids.new_id())


def test_a_session_ends(db: Database) -> None:
    """Ending one session leaves the user's others."""
    user_id = add_user(db)
    begin(db, "a", user_id)
    begin(db, "b", user_id)

    assert db.write(lambda tx: Sessions(tx).delete("a")).result()
    assert not db.write(lambda tx: Sessions(tx).delete("a")).result()
    assert (None, True) == (holder(db, "a"), holder(db, "b") is not None)


def test_all_sessions_of_a_user_end(db: Database) -> None:
    """Ending a user's sessions leaves those of others."""
    ada, bob = add_user(db), add_user(db, "bob@example.com")
    for digest, user_id in (("a", ada), ("b", ada), ("c", bob)):
        begin(db, digest, user_id)

    assert 2 == db.write(lambda tx: Sessions(tx).delete_of(ada)).result()
    assert ["c"] == [digest for digest in "abc" if holder(db, digest)]


def test_expired_sessions_are_swept_out(db: Database) -> None:
    """A session is over at its expiry, not after it."""
    user_id = add_user(db)
    for digest, expires_at in (("a", 9), ("b", 10), ("c", 11)):
        begin(db, digest, user_id, expires_at)

    assert 2 == db.write(lambda tx: Sessions(tx).delete_expired(10)).result()
    assert ["c"] == [digest for digest in "abc" if holder(db, digest)]
