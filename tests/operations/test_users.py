"""Who may create, see, change and remove users, and what it does to them."""

from __future__ import annotations

import asyncio

import pytest

from appliance import ids
from appliance.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from appliance.operations.actors import SYSTEM, Actor
from appliance.operations.audit import list_audit
from appliance.operations.identity import Identity
from appliance.operations.keys import generate_key
from appliance.operations.logins import login
from appliance.operations.users import (
    create_user,
    delete_user,
    get_user,
    list_users,
    update_user,
)

from .people import PASSWORD, Time, member

pytestmark = pytest.mark.anyio


async def actions(identity: Identity) -> list[str]:
    page = await list_audit(identity.db, SYSTEM)
    return [entry["action"] for entry in reversed(page.items)]


async def test_a_user_is_created(identity: Identity) -> None:
    """A user is returned, read and listed the same way, the address as it was typed."""
    user = await create_user(identity, SYSTEM, email="Ada@Example.com", role="admin")

    assert ("Ada@Example.com", "admin") == (user.email, user.role)
    assert "2027-01-15T08:00:00.000000Z" == user.created_at == user.updated_at
    assert user == await get_user(identity, SYSTEM, user.id)
    assert [user.id] == [item["id"] for item in (await list_users(identity, SYSTEM)).items]
    assert ["user.created"] == await actions(identity)


async def test_only_admins_manage_users(identity: Identity) -> None:
    """A user can neither create, list, promote, rename nor delete anybody, nor be told who is."""
    ada = await member(identity)
    bob = await member(identity, "bob@example.com")

    with pytest.raises(Forbidden):
        await create_user(identity, ada, email="eve@example.com")
    with pytest.raises(Forbidden):
        await list_users(identity, ada)
    with pytest.raises(Forbidden):
        await update_user(identity, ada, ada.user_id, role="admin")
    with pytest.raises(Forbidden):
        await update_user(identity, ada, ada.user_id, email="eve@example.com", password=PASSWORD)
    with pytest.raises(Forbidden):
        await delete_user(identity, ada, ada.user_id)
    with pytest.raises(NotFound):
        await get_user(identity, ada, bob.user_id)
    with pytest.raises(NotFound):
        await update_user(identity, ada, bob.user_id, password=PASSWORD)
    assert ada.email == (await get_user(identity, ada, ada.user_id)).email


async def test_an_address_is_taken_once(identity: Identity) -> None:
    """Neither a new user nor a renamed one can have an address that differs only in case."""
    await member(identity)
    bob = await member(identity, "bob@example.com")

    with pytest.raises(Conflict, match="email address already"):
        await member(identity, "ADA@example.com")
    with pytest.raises(Conflict, match="email address already"):
        await update_user(identity, SYSTEM, bob.user_id, email="ADA@example.com")
    renamed = await update_user(identity, SYSTEM, bob.user_id, email="BOB@example.com")
    assert "BOB@example.com" == renamed.email


async def test_of_many_who_want_an_address_one_gets_it(identity: Identity) -> None:
    """Creating the same user at the same time works once, and conflicts otherwise."""
    wanted = [member(identity, f"{name}@example.com") for name in ("ada", "Ada", "ADA", "aDA")]
    outcomes = await asyncio.gather(*wanted, return_exceptions=True)

    assert 1 == sum(isinstance(outcome, Actor) for outcome in outcomes)
    assert 3 == sum(isinstance(outcome, Conflict) for outcome in outcomes)


async def test_what_is_not_valid_is_refused(identity: Identity) -> None:
    """A bad address, role, password or cursor changes nothing."""
    with pytest.raises(InvalidInput):
        await create_user(identity, SYSTEM, email="ada")
    with pytest.raises(InvalidInput):
        await create_user(identity, SYSTEM, email="a@b", role="guest")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        await create_user(identity, SYSTEM, email="a@b", password="short")
    with pytest.raises(InvalidInput):
        await list_users(identity, SYSTEM, role="guest")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        await list_users(identity, SYSTEM, cursor="?")
    ada = await member(identity)
    for change in ({"email": "ada"}, {"role": "guest"}, {"password": "short"}):
        with pytest.raises(InvalidInput):
            await update_user(identity, SYSTEM, ada.user_id, **change)  # type: ignore[arg-type]

    assert [ada.user_id] == [item["id"] for item in (await list_users(identity, SYSTEM)).items]


async def test_a_missing_user_is_not_found(identity: Identity) -> None:
    """Reading, changing and deleting say so."""
    nobody = ids.new_id()
    with pytest.raises(NotFound):
        await get_user(identity, SYSTEM, nobody)
    with pytest.raises(NotFound):
        await update_user(identity, SYSTEM, nobody, role="admin")
    with pytest.raises(NotFound):
        await delete_user(identity, SYSTEM, nobody)


async def test_lists_have_pages_and_filters(identity: Identity) -> None:
    """Following the cursor shows every user once, oldest first; a role shows only its own."""
    made = [(await member(identity, f"u{n}@example.com")).user_id for n in range(5)]
    root = await member(identity, "root@example.com", role="admin")

    seen: list[str] = []
    cursor = None
    while True:
        page = await list_users(identity, SYSTEM, limit=2, cursor=cursor)
        seen += [item["id"] for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert [*made, root.user_id] == seen
    admins = await list_users(identity, SYSTEM, role="admin")
    assert [root.user_id] == [item["id"] for item in admins.items]


async def test_the_last_admin_stays(identity: Identity) -> None:
    """The last admin can be neither deleted nor demoted; with another one both work."""
    root = await member(identity, "root@example.com", role="admin")
    with pytest.raises(Conflict, match="last admin"):
        await delete_user(identity, root, root.user_id)
    with pytest.raises(Conflict, match="last admin"):
        await update_user(identity, root, root.user_id, role="user")
    await update_user(identity, root, root.user_id, role="admin")

    other = await member(identity, "other@example.com", role="admin")
    await update_user(identity, root, root.user_id, role="user")
    with pytest.raises(Conflict, match="last admin"):
        await delete_user(identity, other, other.user_id)
    await update_user(identity, other, root.user_id, role="admin")
    await delete_user(identity, root, other.user_id)


async def test_two_admins_cannot_remove_each_other(identity: Identity) -> None:
    """Of demotions at the same time one is refused, also where transactions run side by side."""
    for number in range(10):
        root = await member(identity, f"root{number}@example.com", role="admin")
        other = await member(identity, f"other{number}@example.com", role="admin")
        everybody = (await list_users(identity, SYSTEM, role="admin")).items
        for item in everybody:
            if item["id"] not in {root.user_id, other.user_id}:
                await update_user(identity, SYSTEM, item["id"], role="user")

        outcomes = await asyncio.gather(
            update_user(identity, other, root.user_id, role="user"),
            delete_user(identity, root, other.user_id),
            return_exceptions=True,
        )

        assert 1 == sum(isinstance(outcome, Conflict) for outcome in outcomes), outcomes
        assert 1 == len((await list_users(identity, SYSTEM, role="admin")).items)


async def test_users_change_their_own_password_when_logged_in(identity: Identity) -> None:
    """A key of a lesser role must not be a way to the password, and so to the role of its user."""
    ada = await member(identity, password=PASSWORD)
    by_key = Actor(ada.user_id, ada.email, "user", key_id=ids.new_id())

    with pytest.raises(Forbidden):
        await update_user(identity, by_key, ada.user_id, password="another one")
    await update_user(identity, ada, ada.user_id, password="another one")

    with pytest.raises(Unauthorized):
        await login(identity, email=ada.email, password=PASSWORD, address="")
    await login(identity, email=ada.email, password="another one", address="")


async def test_a_new_password_ends_every_session(identity: Identity) -> None:
    """Whoever knew the old password is out; API keys stay."""
    ada = await member(identity, password=PASSWORD)
    session = await login(identity, email=ada.email, password=PASSWORD, address="")
    _, key = await generate_key(identity, ada)
    await identity.authenticator.authenticate(session.token)

    await update_user(identity, SYSTEM, ada.user_id, password="another one")

    with pytest.raises(Unauthorized):
        await identity.authenticator.authenticate(session.token)
    await identity.authenticator.authenticate(key)


async def test_changes_count_at_once(identity: Identity, time: Time) -> None:
    """Role and address of the next request are the new ones, and of the one after removal none."""
    root = await member(identity, "root@example.com", role="admin")
    ada = await member(identity, role="admin")
    _, key = await generate_key(identity, ada)
    authenticate = identity.authenticator.authenticate
    assert "admin" == (await authenticate(key)).role

    await update_user(identity, root, ada.user_id, role="user", email="eve@example.com")
    actor = await authenticate(key)
    assert ("user", "eve@example.com") == (actor.role, actor.email)

    await delete_user(identity, root, ada.user_id)
    with pytest.raises(Unauthorized):
        await authenticate(key)


async def test_every_change_is_on_record_without_secrets(identity: Identity) -> None:
    """The log says who did what to whom, and neither password nor hash."""
    root = await member(identity, "root@example.com", role="admin")
    ada = await member(identity, password=PASSWORD)
    await update_user(identity, root, ada.user_id, role="admin", password="another one")
    await delete_user(identity, root, ada.user_id)

    entries = (await list_audit(identity.db, root, by=root.user_id)).items
    assert [
        ("user.deleted", ada.user_id, {"email": ada.email}),
        ("user.updated", ada.user_id, {"role": "admin", "password": "changed"}),
    ] == [(entry["action"], entry["subject"], entry["details"]) for entry in entries]
    assert {root.email} == {entry["actor_email"] for entry in entries}
    everything = str((await list_audit(identity.db, root)).items)
    assert not any(secret in everything for secret in (PASSWORD, "another one", "$argon2"))


async def test_a_refused_change_leaves_no_trace(identity: Identity) -> None:
    """A conflict rolls all of a change back, with its entry."""
    root = await member(identity, "root@example.com", role="admin")
    before = await actions(identity)

    with pytest.raises(Conflict):
        await update_user(identity, root, root.user_id, email="new@example.com", role="user")

    assert root.email == (await get_user(identity, root, root.user_id)).email
    assert before == await actions(identity)
