"""Verification: an archive is good when its database was taken out and found right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from appliance import atomic
from appliance.backup import archive, inspection
from appliance.backup.archive import DATABASE, Manifest
from appliance.errors import DamagedArchive, StorageFull

_RESERVE = 16 << 20
"""Bytes that must stay free on the disk, for the server beside us to go on."""


def verify(file: IO[bytes], scratch: Path) -> Manifest:
    """Return the manifest of the archive in *file*, checked by a trial restore in *scratch*.

    Raises: DamagedArchive, DatabaseTooNew, StorageFull.
    """
    with atomic.scratch(scratch / DATABASE) as target:
        return unpack(file, target)


def unpack(file: IO[bytes], target: IO[bytes]) -> Manifest:
    """Write the database of the archive in *file* to *target*, a named empty file, and check it.

    Raises: DamagedArchive, DatabaseTooNew, StorageFull.
    """
    with archive.read(file) as opened:
        manifest = opened.manifest
        _check_room(target, opened.database.size)
        opened.extract_database(target)
    target.flush()
    if inspection.check(Path(target.name)) != manifest.facts:
        raise DamagedArchive("The database in the archive has not the rows that its manifest says.")
    return manifest


def _check_room(target: IO[bytes], size: int) -> None:
    disk = os.fstatvfs(target.fileno())
    free = disk.f_bavail * disk.f_frsize - _RESERVE
    if size > free:
        raise StorageFull(
            f"The database in the archive needs {size} bytes beside {Path(target.name).parent}, "
            f"{max(free, 0)} are free; make room and try again."
        )
