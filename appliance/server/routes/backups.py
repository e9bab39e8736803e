"""Backups: `/backups`, for admins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO

from litestar import Response, delete, get, post
from litestar.params import FromPath
from litestar.response import Stream

from appliance.errors import DamagedArchive, DatabaseTooNew, NotFound, NotSupported, StorageFull
from appliance.operations import backups
from appliance.server.authentication import ADMIN
from appliance.server.contract import raises
from appliance.server.edge import extend
from appliance.server.envelope import Envelope, show
from appliance.server.request import ApiRequest
from appliance.server.views import BackupList, BackupView, VerifiedView

PIECE = 262_144
"""Bytes read and sent at once."""


@post("/backups", opt=ADMIN | raises(NotSupported, StorageFull), tags=["backups"])
async def create_backup(request: ApiRequest) -> Response[Envelope[BackupView]]:
    """Make an archive of the database while it is in use, and verify it by a trial restore."""
    extend(request.scope, None)  # as long as the database is large
    backup = await backups.create_backup(request.appliance, request.actor)
    headers = {"location": f"{request.scope['path']}/{backup.name}"}
    return Response(
        Envelope(data=show(BackupView, backup), message="Backup created", status=201),
        headers=headers,
    )


@get("/backups", opt=ADMIN, tags=["backups"])
async def list_backups(request: ApiRequest) -> Envelope[BackupList]:
    """List every archive, newest first."""
    found = await backups.list_backups(request.appliance, request.actor)
    return Envelope(data=show(BackupList, {"backups": found}))


@get("/backups/{name:str}", opt=ADMIN | raises(NotFound), tags=["backups"])
async def get_backup(request: ApiRequest, name: FromPath[str]) -> Envelope[BackupView]:
    """Show one archive."""
    return Envelope(
        data=show(BackupView, await backups.get_backup(request.appliance, request.actor, name))
    )


@get(
    "/backups/{name:str}/download",
    opt=ADMIN | raises(NotFound),
    media_type="application/zip",
    tags=["backups"],
)
async def download_backup(request: ApiRequest, name: FromPath[str]) -> Stream:
    """Send the bytes of an archive."""
    path = await backups.open_backup(request.appliance, request.actor, name)
    file = path.open("rb")
    extend(request.scope, None)  # the connection has its own deadline for a slow reader
    headers = {
        "content-length": str(path.stat().st_size),
        "content-disposition": f'attachment; filename="{name}"',
    }
    return Stream(_pieces(file), media_type="application/zip", headers=headers)


@post(
    "/backups/{name:str}/verify",
    status_code=200,
    opt=ADMIN | raises(NotFound, DamagedArchive, DatabaseTooNew),
    tags=["backups"],
)
async def verify_backup(request: ApiRequest, name: FromPath[str]) -> Envelope[VerifiedView]:
    """Restore an archive to a scratch place and say what is in it."""
    extend(request.scope, None)
    manifest = await backups.verify_backup(request.appliance, request.actor, name)
    return Envelope(
        data=VerifiedView(
            name=name,
            program=manifest.program,
            driver=manifest.driver,
            created_at=manifest.created_at,
            schema=manifest.schema,
            counts=manifest.counts,
        )
    )


@delete("/backups/{name:str}", opt=ADMIN | raises(NotFound), tags=["backups"])
async def delete_backup(request: ApiRequest, name: FromPath[str]) -> None:
    """Delete an archive."""
    await backups.delete_backup(request.appliance, request.actor, name)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


HANDLERS = [
    create_backup,
    list_backups,
    get_backup,
    download_backup,
    verify_backup,
    delete_backup,
]
