"""Backups are for admins, and every act is in the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import DamagedArchive, Forbidden, NotFound
from appliance.operations import backups
from appliance.operations.actors import SYSTEM, Actor
from appliance.operations.audit import list_audit
from appliance.store import open_database
from appliance.store.datadir import DataDirectory

pytestmark = pytest.mark.anyio

MEMBER = Actor("1", "ada@example.com", "user")


@pytest.fixture
async def appliance(sqlite_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Any]:
    """What the operations use of an appliance: its database and its data directory."""
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    db = open_database(sqlite_settings)
    yield SimpleNamespace(db=db, data=data)
    db.close()


async def noted(appliance: Any) -> list[tuple[str, str]]:
    page = await list_audit(appliance.db, SYSTEM)
    return [(str(entry["action"]), str(entry["subject"])) for entry in reversed(page.items)]


async def test_life_of_a_backup(appliance: Any) -> None:
    """It is made, listed, shown, verified, fetched and deleted; the log tells what changed."""
    backup = await backups.create_backup(appliance, SYSTEM)
    name = backup.name
    assert await backups.list_backups(appliance, SYSTEM) == [backup]
    assert await backups.get_backup(appliance, SYSTEM, name) == backup
    manifest = await backups.verify_backup(appliance, SYSTEM, name)
    path = await backups.open_backup(appliance, SYSTEM, name)
    assert path.stat().st_size == backup.size
    await backups.delete_backup(appliance, SYSTEM, name)
    assert await backups.list_backups(appliance, SYSTEM) == []
    assert manifest.counts["audit_log"] == 0
    acts = ("created", "verified", "downloaded", "deleted")
    assert await noted(appliance) == [(f"backup.{act}", name) for act in acts]


async def test_damage_is_found_later(appliance: Any) -> None:
    """Verifying reads the file again: what went bad on the disk since then is noticed."""
    backup = await backups.create_backup(appliance, SYSTEM)
    path = await backups.open_backup(appliance, SYSTEM, backup.name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArchive):
        await backups.verify_backup(appliance, SYSTEM, backup.name)
    assert ("backup.verified", backup.name) not in await noted(appliance)


BY_NAME: list[Callable[..., Awaitable[Any]]] = [
    backups.get_backup,
    backups.open_backup,
    backups.verify_backup,
    backups.delete_backup,
]


@pytest.mark.parametrize("act", BY_NAME)
@pytest.mark.parametrize("name", ["../app.db", "compozy-20261121T090000Z-01234567.zip"])
async def test_unknown_names(appliance: Any, act: Callable[..., Awaitable[Any]], name: str) -> None:
    """What is not a backup of ours cannot be reached by any of the acts."""
    with pytest.raises(NotFound):
        await act(appliance, SYSTEM, name)


@pytest.mark.parametrize("act", [*BY_NAME, backups.create_backup, backups.list_backups])
async def test_only_admins(appliance: Any, act: Callable[..., Awaitable[Any]]) -> None:
    """A backup holds everything of everybody."""
    names = ["compozy-20261121T090000Z-01234567.zip"] if act in BY_NAME else []
    with pytest.raises(Forbidden):
        await act(appliance, MEMBER, *names)
    assert await noted(appliance) == []
