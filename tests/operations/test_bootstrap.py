"""How the first admin comes to be."""

from __future__ import annotations

import asyncio

import pytest

from appliance.errors import Conflict, InvalidInput, Unauthorized
from appliance.operations.actors import SYSTEM
from appliance.operations.audit import list_audit
from appliance.operations.bootstrap import bootstrap
from appliance.operations.identity import Identity
from appliance.operations.keys import list_keys
from appliance.operations.tokens import new_key
from appliance.operations.users import list_users

from .people import member

pytestmark = pytest.mark.anyio


async def test_the_first_start_makes_an_admin(identity: Identity) -> None:
    """The key that is returned opens everything."""
    key = await bootstrap(identity.db)

    assert key is not None
    actor = await identity.authenticator.authenticate(key)
    assert ("admin@localhost", "admin") == (actor.email, actor.role)
    entries = (await list_audit(identity.db, actor)).items
    assert [("key.created", "system"), ("user.created", "system")] == [
        (entry["action"], entry["actor"]) for entry in entries
    ]


async def test_a_second_start_makes_none(identity: Identity) -> None:
    """Where there is an admin nothing happens, whatever the address."""
    await bootstrap(identity.db)

    assert await bootstrap(identity.db, email="other@example.com") is None
    assert 1 == len((await list_users(identity, SYSTEM)).items)
    assert 1 == len((await list_keys(identity, SYSTEM)).items)


async def test_of_many_first_starts_one_makes_an_admin(identity: Identity) -> None:
    """Starts at the same time do not each make an admin, and none fails."""
    emails = ["admin@localhost", "admin@localhost", "root@example.com", "ada@example.com"]
    keys = await asyncio.gather(*(bootstrap(identity.db, email=email) for email in emails))

    assert 1 == sum(key is not None for key in keys)
    assert 1 == len((await list_users(identity, SYSTEM)).items)


async def test_users_are_no_admins(identity: Identity) -> None:
    """With users alone an admin is made, but not out of one of them."""
    await member(identity)

    with pytest.raises(Conflict):
        await bootstrap(identity.db, email="Ada@example.com")
    assert await bootstrap(identity.db, email="root@example.com") is not None


async def test_the_address_is_checked(identity: Identity) -> None:
    """What is no address makes no admin."""
    with pytest.raises(InvalidInput):
        await bootstrap(identity.db, email="admin")
    assert [] == (await list_users(identity, SYSTEM)).items


async def test_the_key_is_kept_before_it_opens(identity: Identity) -> None:
    """A crash after keeping leaves a useless copy; a start after it makes admin and key again."""
    kept: list[str] = []

    class Crash(Exception):
        pass

    def crash(text: str) -> None:
        kept.append(text)
        raise Crash

    with pytest.raises(Crash):
        await bootstrap(identity.db, keep=crash)
    with pytest.raises(Unauthorized):
        await identity.authenticator.authenticate(kept[0])

    assert await bootstrap(identity.db, keep=kept.append) == kept[1]
    await identity.authenticator.authenticate(kept[1])


async def test_a_former_key_opens_the_next_database(identity: Identity) -> None:
    """The key in the data directory goes on working when another database is chosen."""
    former = new_key().text

    assert former == await bootstrap(identity.db, former=former)
    assert "admin" == (await identity.authenticator.authenticate(former)).role


async def test_a_file_that_holds_no_key_is_not_taken(identity: Identity) -> None:
    """What cannot be a key is replaced by one that is."""
    made = await bootstrap(identity.db, former="nonsense")

    assert made not in (None, "nonsense")
