"""Backups: archives of the database, made while it is in use. For admins only; each act is noted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from appliance import atomic
from appliance.backup import snapshot, verification
from appliance.backup.archive import Manifest
from appliance.backup.snapshot import Backup
from appliance.operations import audit
from appliance.operations.actors import Actor, require_admin
from appliance.operations.appliance import Appliance
from appliance.store.database import settle


async def create_backup(appliance: Appliance, actor: Actor) -> Backup:
    """Make an archive of everything acknowledged so far and verify it by a trial restore.

    Raises: Forbidden, NotSupported (PostgreSQL), StorageFull, StorageBroken.
    """
    require_admin(actor)
    backup = await asyncio.to_thread(snapshot.create, appliance.db, appliance.data)
    await _note(appliance, actor, "backup.created", backup.name, size=backup.size)
    return backup


async def list_backups(appliance: Appliance, actor: Actor) -> list[Backup]:
    """Return every archive, newest first. Raises: Forbidden."""
    require_admin(actor)
    return await asyncio.to_thread(snapshot.list_all, appliance.data)


async def get_backup(appliance: Appliance, actor: Actor, name: str) -> Backup:
    """Return one archive by its name. Raises: Forbidden, NotFound."""
    require_admin(actor)
    return snapshot.describe(snapshot.find(appliance.data, name))


async def open_backup(appliance: Appliance, actor: Actor, name: str) -> Path:
    """Return the path of an archive that is about to be handed out. Raises: Forbidden, NotFound."""
    require_admin(actor)
    path = snapshot.find(appliance.data, name)
    await _note(appliance, actor, "backup.downloaded", name)
    return path


async def verify_backup(appliance: Appliance, actor: Actor, name: str) -> Manifest:
    """Restore an archive to a scratch place and return its manifest when everything is right.

    Raises: Forbidden, NotFound, DamagedArchive, DatabaseTooNew, StorageFull.
    """
    require_admin(actor)
    path = snapshot.find(appliance.data, name)
    manifest = await asyncio.to_thread(_verify, path)
    await _note(appliance, actor, "backup.verified", name)
    return manifest


async def delete_backup(appliance: Appliance, actor: Actor, name: str) -> None:
    """Delete an archive. Raises: Forbidden, NotFound."""
    require_admin(actor)
    path = snapshot.find(appliance.data, name)
    await asyncio.to_thread(atomic.remove, path)
    await _note(appliance, actor, "backup.deleted", name)


def _verify(path: Path) -> Manifest:
    with path.open("rb") as file:
        return verification.verify(file, path.parent)


async def _note(appliance: Appliance, actor: Actor, action: str, name: str, **details: Any) -> None:
    await settle(appliance.db.write(lambda tx: audit.record(tx, actor, action, name, details)))
