"""What every database promises about users."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import closing

import pytest

from appliance import ids
from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, Conflict
from appliance.store import open_database
from appliance.store.api_keys import ApiKeys
from appliance.store.database import Database, Row, Transaction
from appliance.store.sessions import Sessions
from appliance.store.users import Users

from .identities import add_key, add_user


def get(db: Database, user_id: str) -> Row | None:
    return db.read(lambda tx: Users(tx).get(user_id)).result()


def test_a_user_is_found_by_id_and_address(db: Database) -> None:
    """What was inserted is read back by id, by address and in the listing."""
    user_id = add_user(db, role="admin", password_hash="$h")

    assert {
        "id": user_id,
        "email": "ada@example.com",
        "role": "admin",
        "created_at": 1_000_000,
        "updated_at": 1_000_000,
    } == dict(get(db, user_id) or {})
    assert {
        "id": user_id,
        "email": "ada@example.com",
        "role": "admin",
        "password_hash": "$h",
    } == dict(db.read(lambda tx: Users(tx).find("ada@example.com")).result() or {})
    listed = db.read(lambda tx: Users(tx).page(role="", after="", limit=10)).result()
    assert [user_id] == [row["id"] for row in listed]


def test_a_missing_user_is_none(db: Database) -> None:
    """Nothing is found, changed or deleted where there is nothing."""
    nobody = ids.new_id()

    assert get(db, nobody) is None
    assert db.read(lambda tx: Users(tx).find("nobody@example.com")).result() is None
    assert not db.write(lambda tx: Users(tx).delete(nobody)).result()
    assert not db.write(lambda tx: Users(tx).set_role(nobody, "admin", now=1)).result()
    assert not db.write(lambda tx: Users(tx).set_email(nobody, "a@b", "a@b", now=1)).result()
    assert not db.write(lambda tx: Users(tx).set_password(nobody, "$h", now=1)).result()


def test_an_address_is_unique(db: Database) -> None:
    """The database itself refuses a second user with the same form of the address."""
    add_user(db, "ada@example.com")

    with pytest.raises(Conflict):
        add_user(db, "Ada@Example.com")


def test_a_changed_address_is_unique_too(db: Database) -> None:
    """Nobody can take another's address later on."""
    add_user(db, "ada@example.com")
    bob = add_user(db, "bob@example.com")

    with pytest.raises(Conflict):
        db.write(lambda tx: Users(tx).set_email(bob, "ADA@x", "ada@example.com", now=2)).result()


def test_only_two_roles_exist(db: Database) -> None:
    """The database itself refuses the role `guest`."""
    with pytest.raises(ApplianceError):
        add_user(db, role="guest")


def test_a_user_is_changed(db: Database) -> None:
    """Address, role and password change one by one, and `updated_at` with them."""
    user_id = add_user(db)

    def change(users: Users) -> list[bool]:
        return [
            users.set_email(user_id, "Eve@example.com", "eve@example.com", now=5),
            users.set_role(user_id, "admin", now=6),
            users.set_password(user_id, "$new", now=7),
        ]

    assert [True, True, True] == db.write(lambda tx: change(Users(tx))).result()
    row = get(db, user_id)
    assert row is not None
    assert ("Eve@example.com", "admin", 7) == (row["email"], row["role"], row["updated_at"])
    found = db.read(lambda tx: Users(tx).find("eve@example.com")).result()
    assert found is not None
    assert "$new" == found["password_hash"]


def test_a_password_is_renewed_only_from_the_one_that_was_read(db: Database) -> None:
    """A hash that was replaced in the meantime stays."""
    user_id = add_user(db, password_hash="$1")

    def renew(current: str, renewed: str) -> bool:
        return db.write(
            lambda tx: Users(tx).renew_password(user_id, current=current, renewed=renewed)
        ).result()

    assert renew("$1", "$2")
    assert not renew("$1", "$3")
    assert renew("$2", "$2")


def test_pages_follow_each_other(db: Database) -> None:
    """A page begins after the id where the last one ended, and holds one role when asked."""
    users = [add_user(db, f"u{n}@example.com") for n in range(3)]
    admin = add_user(db, "admin@example.com", role="admin")

    def page(role: str, after: str, limit: int) -> list[str]:
        rows = db.read(lambda tx: Users(tx).page(role=role, after=after, limit=limit)).result()
        return [row["id"] for row in rows]

    assert users[:2] == page("", "", 2)
    assert [users[2], admin] == page("", users[1], 2)
    assert [admin] == page("admin", "", 2)
    assert [] == page("user", users[2], 2)


def test_admins_are_counted(db: Database) -> None:
    """`hold_admins` counts admins only."""
    assert not db.read(lambda tx: Users(tx).has_admin()).result()
    add_user(db)
    assert 0 == db.write(lambda tx: Users(tx).hold_admins()).result()
    add_user(db, "a@example.com", role="admin")
    add_user(db, "b@example.com", role="admin")
    assert 2 == db.write(lambda tx: Users(tx).hold_admins()).result()
    assert db.read(lambda tx: Users(tx).has_admin()).result()


def test_counted_admins_stay_until_the_end(postgres_settings: DatabaseSettings) -> None:
    """Two nodes that each demote another admin: the second one counts what the first one left."""
    here, there = open_database(postgres_settings), open_database(postgres_settings)
    with closing(here), closing(there):
        ada = add_user(here, role="admin")
        bob = add_user(here, "bob@example.com", role="admin")
        counted = threading.Event()

        def first(tx: Transaction) -> int:
            admins = Users(tx).hold_admins()
            counted.set()
            waiting.result(timeout=10)
            Users(tx).set_role(ada, "user", now=2)
            return admins

        waiting: Future[None] = Future()
        one = here.write(first)
        assert counted.wait(10)
        two = there.write(lambda tx: Users(tx).hold_admins())
        with pytest.raises(TimeoutError):
            two.result(timeout=0.2)
        waiting.set_result(None)

        assert (2, 1) == (one.result(), two.result())
        assert "admin" == (get(here, bob) or {})["role"]


def test_keys_and_sessions_go_with_their_user(db: Database) -> None:
    """Deleting a user leaves neither user nor key nor session, and touches nobody else's."""
    ada, bob = add_user(db), add_user(db, "bob@example.com")
    key_id, digest = add_key(db, ada)
    other_key, _ = add_key(db, bob)
    db.write(lambda tx: Sessions(tx).insert("d", ada, created_at=1, expires_at=2)).result()

    assert db.write(lambda tx: Users(tx).delete(ada)).result()

    assert get(db, ada) is None
    assert db.read(lambda tx: ApiKeys(tx).get(key_id)).result() is None
    assert db.read(lambda tx: ApiKeys(tx).holder(digest)).result() is None
    assert db.read(lambda tx: Sessions(tx).holder("d")).result() is None
    assert db.read(lambda tx: ApiKeys(tx).get(other_key)).result() is not None
