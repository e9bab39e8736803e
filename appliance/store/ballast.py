"""The ballast: room beside the database that is kept so that a server can start on a full disk.

SQLite cannot even read after a crash when the disk is full: it needs a little room to look through
its log. So a file holds some, nearly for free: it is allocated and never written. A start that finds
less room than that gives it up, and lays down again what is left when everything is open.
"""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from appliance import atomic
from appliance.errors import ApplianceError, StorageFull

NAME = "ballast"
MIB = 1 << 20
SMALLEST = MIB
SHARE = 16
"""It takes at most this part of a disk, so that a small one is not filled by it."""

log = structlog.get_logger(__name__)


class Ballast:
    """Room of *size* bytes in *directory*; 0 keeps none."""

    def __init__(self, directory: Path, size: int) -> None:
        self.path = directory / NAME
        self._wanted = size
        self._given_up = 0

    @property
    def held(self) -> int:
        """Bytes that are kept now."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def give_up(self) -> None:
        """Give the room to a start that has less than that otherwise."""
        held = self.held
        if held and (self._free() < held or not self._wanted):
            atomic.remove(self.path)
            self._given_up = held
            log.warning("ballast.given_up", path=str(self.path), bytes=held)

    def lay(self) -> None:
        """Take room, at most half of what is free; what was given up is taken back in any case."""
        size = self._affordable()
        while size >= SMALLEST and self.held < size:
            try:
                self._allocate(size)
            except StorageFull:
                size //= 2
            except ApplianceError as error:  # it is no more than a precaution
                log.warning("ballast.not_laid", why=error.message)
                return

    @property
    def detail(self) -> str:
        """Say how it is with the disk."""
        free = f"{self._free() / MIB:.0f} MiB are free beside {self.path.parent}"
        kept = f"{self.held / MIB:.0f} MiB are kept for a start on a full disk"
        return f"{free}; {kept}" if self.enough else f"the disk is full: {free}; {kept}"

    @property
    def enough(self) -> bool:
        """Whether there is room to write."""
        return self._free() >= SMALLEST

    def _affordable(self) -> int:
        """Return how much to hold: what is held, unless it can be whole or twice as much."""
        disk = os.statvfs(self.path.parent)
        whole = min(self._wanted, disk.f_blocks * disk.f_frsize // SHARE)
        size = min(whole, max(self._given_up, self._free() // 2))
        return size if size in (whole, self._given_up) or size >= 2 * self.held else 0

    def _allocate(self, size: int) -> None:
        with atomic.create(self.path) as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def _free(self) -> int:
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize
