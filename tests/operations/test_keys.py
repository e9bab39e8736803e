"""Who may make, see and revoke API keys, and what they open."""

from __future__ import annotations

from typing import Any

import pytest

from appliance import clock, ids
from appliance.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from appliance.operations import tokens
from appliance.operations.actors import SYSTEM, Actor, Role
from appliance.operations.audit import list_audit
from appliance.operations.identity import Identity
from appliance.operations.keys import generate_key, list_keys, revoke_key
from appliance.operations.users import update_user
from appliance.store.api_keys import ApiKeys

from .people import Time, member

pytestmark = pytest.mark.anyio


async def listed(identity: Identity, actor: Actor, user_id: str | None = None) -> list[str]:
    return [item["id"] for item in (await list_keys(identity, actor, user_id=user_id)).items]


async def test_a_key_is_made_and_opens(identity: Identity, time: Time) -> None:
    """The text authenticates its user, is well-formed and is not in the database."""
    ada = await member(identity)
    expires = time.now_us() + clock.MICROSECONDS
    key, text = await generate_key(
        identity, ada, name="ci", description="for\nbuilds", expires_at_us=expires
    )

    assert ("ci", "for\nbuilds", "user") == (key.name, key.description, key.role)
    assert "2027-01-15T08:00:01.000000Z" == key.expires_at
    assert key.last_used_at is None
    assert tokens.well_formed(text)
    assert text.startswith(key.prefix)
    actor = await identity.authenticator.authenticate(text)
    assert Actor(ada.user_id, ada.email, "user", key.id) == actor
    stored = await identity.read(lambda tx: ApiKeys(tx).holder(tokens.digest(text)))
    assert stored is not None
    assert text[len(key.prefix) : -6] not in str(dict(stored))


async def test_a_key_has_the_lesser_of_two_roles(identity: Identity) -> None:
    """Without a role a key may do what its user may, with one never more."""
    root = await member(identity, "root@example.com", role="admin")
    ada = await member(identity)
    cases: list[tuple[Actor, Role | None, Role]] = [
        (root, None, "admin"),
        (root, "admin", "admin"),
        (root, "user", "user"),
        (ada, None, "user"),
        (ada, "user", "user"),
    ]
    for actor, role, expected in cases:
        made, text = await generate_key(identity, actor, role=role)
        assert expected == made.role == (await identity.authenticator.authenticate(text)).role


async def test_a_key_is_never_more_than_who_makes_it(identity: Identity) -> None:
    """A user makes no admin key, nor does an admin through a key of the role user, nor for users."""
    ada = await member(identity)
    root = await member(identity, "root@example.com", role="admin")
    _, text = await generate_key(identity, root, role="user")
    limited = await identity.authenticator.authenticate(text)

    for actor, user_id in ((ada, None), (limited, None), (root, ada.user_id)):
        with pytest.raises(Forbidden):
            await generate_key(identity, actor, role="admin", user_id=user_id)
    made, _ = await generate_key(identity, limited)
    assert "user" == made.role
    with pytest.raises(NotFound):
        await generate_key(identity, limited, user_id=ada.user_id)


async def test_a_promoted_user_keeps_keys_as_they_are(identity: Identity) -> None:
    """Making a user admin does not turn the keys out there into keys of an admin."""
    ada = await member(identity)
    _, text = await generate_key(identity, ada)

    await update_user(identity, SYSTEM, ada.user_id, role="admin")

    assert "user" == (await identity.authenticator.authenticate(text)).role


async def test_admins_make_keys_for_others(identity: Identity) -> None:
    """The key is the other's; only for somebody who exists, and the system has none itself."""
    root = await member(identity, "root@example.com", role="admin")
    ada = await member(identity)
    key, text = await generate_key(identity, root, user_id=ada.user_id)

    assert ada.user_id == key.user_id
    assert ada.user_id == (await identity.authenticator.authenticate(text)).user_id
    with pytest.raises(NotFound):
        await generate_key(identity, root, user_id=ids.new_id())
    with pytest.raises(NotFound):
        await generate_key(identity, SYSTEM)


async def test_users_see_and_revoke_their_own_keys_only(identity: Identity) -> None:
    """Another's key does not exist for a user; an admin sees and revokes all."""
    root = await member(identity, "root@example.com", role="admin")
    ada, bob = await member(identity), await member(identity, "bob@example.com")
    (first, _), (second, text) = [await generate_key(identity, actor) for actor in (ada, bob)]

    assert [first.id] == await listed(identity, ada) == await listed(identity, ada, ada.user_id)
    assert [first.id, second.id] == await listed(identity, root)
    assert [second.id] == await listed(identity, root, bob.user_id)
    with pytest.raises(NotFound):
        await listed(identity, ada, bob.user_id)
    with pytest.raises(NotFound):
        await generate_key(identity, ada, user_id=bob.user_id)
    with pytest.raises(NotFound):
        await revoke_key(identity, ada, second.id)
    await identity.authenticator.authenticate(text)

    await revoke_key(identity, bob, second.id)
    await revoke_key(identity, root, first.id)
    assert [] == await listed(identity, root)


async def test_a_revoked_key_opens_nothing_any_more(identity: Identity) -> None:
    """Revocation counts for the very next request, though the key was used just before."""
    ada = await member(identity)
    key, text = await generate_key(identity, ada)
    await identity.authenticator.authenticate(text)

    await revoke_key(identity, ada, key.id)

    with pytest.raises(Unauthorized):
        await identity.authenticator.authenticate(text)
    with pytest.raises(NotFound):
        await revoke_key(identity, ada, key.id)


async def test_what_is_not_valid_is_refused(identity: Identity) -> None:
    """Over-long or unprintable texts, expiry now or never, an unknown role: no key is made."""
    ada = await member(identity)
    cases: list[dict[str, Any]] = [
        {"name": "x" * 101},
        {"name": "nul\0"},
        {"description": "\x1b[2J"},
        {"description": "x" * 1001},
        {"description": "\ud800"},
        {"expires_at_us": 1_800_000_000_000_000},
        {"expires_at_us": 0},
        {"expires_at_us": 253_402_300_800_000_000},
        {"role": "guest"},
    ]
    for wrong in cases:
        with pytest.raises(InvalidInput):
            await generate_key(identity, ada, **wrong)
    assert [] == await listed(identity, ada)


async def test_lists_have_pages(identity: Identity) -> None:
    """Following the cursor shows every key once, oldest first."""
    ada = await member(identity)
    made = [(await generate_key(identity, ada))[0].id for _ in range(3)]

    first = await list_keys(identity, ada, limit=2)
    second = await list_keys(identity, ada, limit=2, cursor=first.next_cursor)

    assert made == [item["id"] for item in [*first.items, *second.items]]
    assert second.next_cursor is None


async def test_every_change_is_on_record_without_secrets(identity: Identity) -> None:
    """The log names the key by its prefix, not by what opens."""
    ada = await member(identity)
    key, text = await generate_key(identity, ada)
    await revoke_key(identity, ada, key.id)

    entries = (await list_audit(identity.db, SYSTEM, by=ada.user_id)).items
    assert [("key.revoked", key.id), ("key.created", key.id)] == [
        (entry["action"], entry["subject"]) for entry in entries
    ]
    assert key.prefix == entries[1]["details"]["prefix"]
    assert text[len(key.prefix) : -6] not in str(entries)
