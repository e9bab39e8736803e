"""`auth bootstrap`: the first admin, or a new key for whoever owns the data directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from appliance import log
from appliance.cli.invocation import SERVER, Invocation, takes
from appliance.errors import Conflict

if TYPE_CHECKING:
    from appliance.config import Settings
    from appliance.operations.identity import Identity
    from appliance.store.datadir import DataDirectory

_DESCRIPTION = "Made by auth bootstrap."


@click.command()
@click.option("--email", default="admin@localhost", help="Who the admin is. [admin@localhost]")
@click.option("--force", is_flag=True, help="Make a key although there is an admin: one was lost.")
@click.option("--check", is_flag=True, help="Only say whether there is an admin.")
@takes(*SERVER)
def bootstrap(invocation: Invocation, *, email: str, force: bool, check: bool) -> None:
    """Make the first admin and leave the key in the data directory; no server may run.

    The first start does this by itself.
    """
    settings = invocation.load().settings
    click.echo(asyncio.run(_run(settings, email, force=force, check=check)))


async def _run(settings: Settings, email: str, *, force: bool, check: bool) -> str:
    async with _identity(settings) as (identity, data):
        exists = await _has_admin(identity)
        if check:
            return "There is an admin." if exists else "There is no admin yet."
        if exists and not force:
            raise Conflict("There is an admin already; --force makes another key.")
        if exists:
            data.write_secret("admin.key", await _another_key(identity, email))
        else:
            await _first(identity, data, email)
        return f"{email} is admin; the key is in {data.admin_key_path}."


async def _first(identity: Identity, data: DataDirectory, email: str) -> None:
    from appliance.operations.bootstrap import bootstrap as make

    await make(
        identity.db,
        email=email,
        former=data.read_admin_key(),
        keep=lambda key: data.write_secret("admin.key", key),
    )


async def _another_key(identity: Identity, email: str) -> str:
    """Return a new key of the admin with this address, who is made where there is none."""
    from appliance.operations import users
    from appliance.operations.actors import SYSTEM
    from appliance.operations.keys import generate_key

    user_id = await _find(identity, email)
    if user_id is None:
        user_id = (await users.create_user(identity, SYSTEM, email=email, role="admin")).id
    await users.update_user(identity, SYSTEM, user_id, role="admin")
    _, text = await generate_key(
        identity, SYSTEM, name="admin", description=_DESCRIPTION, role="admin", user_id=user_id
    )
    return text


async def _find(identity: Identity, email: str) -> str | None:
    from appliance.operations import emails
    from appliance.store.users import Users

    row = await identity.read(lambda tx: Users(tx).find(emails.key(email)))
    return row["id"] if row else None


async def _has_admin(identity: Identity) -> bool:
    from appliance.store.users import Users

    return await identity.read(lambda tx: Users(tx).has_admin())


@asynccontextmanager
async def _identity(settings: Settings) -> AsyncIterator[tuple[Identity, DataDirectory]]:
    """Open the users of the database, and hold the data directory meanwhile."""
    log.configure("warning", settings.log_format)
    from appliance.operations.identity import Identity
    from appliance.store import migrations, open_database
    from appliance.store.datadir import DataDirectory, held

    data = DataDirectory(settings.data_dir)
    data.prepare()
    with held(data, settings.database.path):
        migrations.up(settings.database)
        database = open_database(settings.database)
        try:
            identity = Identity(database)
            yield identity, data
            await identity.close()
        finally:
            database.close()
