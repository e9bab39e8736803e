"""File systems of our own, mounted for a while: they can be filled up, and the power can be cut."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .machine import memory_or

_SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN, on ext4 and XFS: from now on every access fails."""
_LOSE_THE_LOG = struct.pack("I", 2)

_SIZES = {"ext4": "64M", "xfs": "320M"}


LET_GO_S = 10.0
"""The tools of a server that was killed end a moment after it."""


class FileSystem:
    """A file system mounted at *place*. What is in it is on a device that the system cannot see."""

    def __init__(self, place: Path, kind: str, size: str = "", options: str = "") -> None:
        self.place = place
        self._options = ",".join(filter(None, ("loop", options)))
        self._image = memory_or(place.parent) / f"image-{os.getpid()}-{place.parent.name}"
        _run("truncate", "-s", size or _SIZES[kind], str(self._image))
        _run(f"mkfs.{kind}", "-q", str(self._image))
        place.mkdir()

    def mount(self) -> None:
        """Make it usable; what a power cut left in its log is played back."""
        _run("mount", "-o", self._options, str(self._image), str(self.place))
        self.place.chmod(0o700)

    def unmount(self) -> None:
        """Take it away, whoever is still using it."""
        subprocess.run(["umount", "-l", str(self.place)], check=False, capture_output=True)

    def cut(self) -> None:
        """Cut the power: nothing that is not on the device gets there any more."""
        directory = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, _SHUTDOWN, _LOSE_THE_LOG)
        finally:
            os.close(directory)

    def restore_power(self) -> None:
        """Mount what the power cut left, as soon as nobody uses it any more."""
        deadline = time.monotonic() + LET_GO_S
        while subprocess.run(["umount", str(self.place)], check=False).returncode:
            assert time.monotonic() < deadline, f"somebody still uses {self.place}"
            time.sleep(0.1)
        self.mount()

    def forget(self) -> None:
        """Leave nothing behind."""
        self.unmount()
        self._image.unlink()

    @property
    def device(self) -> str:
        """The name of its loop device, such as `loop0`."""
        found = _run("findmnt", "-n", "-o", "SOURCE", str(self.place))
        return found.strip().rpartition("/")[2]


@contextmanager
def mounted(place: Path, kind: str, size: str = "", options: str = "") -> Iterator[FileSystem]:
    """Make a file system and mount it at *place* for this block."""
    made = FileSystem(place, kind, size, options)
    try:
        made.mount()
        yield made
    finally:
        made.forget()


@contextmanager
def in_memory(place: Path, size: str) -> Iterator[Path]:
    """Mount a file system of this size at *place* that is in memory, for this block."""
    place.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(place))
    try:
        yield place
    finally:
        _run("umount", "-l", str(place))


def fill(place: Path, *, leave: int = 0) -> Path:
    """Put a file into *place* that takes all room but *leave* bytes, and return its path."""
    foreign = place / "foreign"
    with foreign.open("ab") as file, suppress(OSError):
        while (free := _free(place) - leave) > 0:
            file.write(bytes(min(free, 1 << 20)))
            file.flush()
    return foreign


def _free(place: Path) -> int:
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
