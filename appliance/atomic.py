"""Files that survive a crash: the old content or the new one, on disk, with the right mode."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from appliance.errors import ApplianceError, StorageBroken, StorageFull

TEMPORARY = ".tmp"
"""How the name of an unfinished file ends; it begins with a dot. `sweep` removes what a crash left."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace *path* by *data* atomically; it is on disk when this returns.

    Raises: StorageFull, StorageBroken; *path* is then what it was.
    """
    with create(path, mode) as file:
        file.write(data)


@contextmanager
def create(path: Path, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """Open a new file (write, read back) that takes the place of *path* when the block succeeds.

    Raises: StorageFull, StorageBroken; *path* is then what it was and nothing is left behind.
    """
    with scratch(path, mode) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        replace(Path(file.name), path)


@contextmanager
def scratch(path: Path, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """Open a new hidden file beside *path*, at `file.name`; it is gone at the end unless moved.

    Raises: StorageFull, StorageBroken.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}{TEMPORARY}")
    try:
        with open(temporary, "x+b", opener=_private) as file:
            os.fchmod(file.fileno(), mode)  # the umask may have taken bits away
            yield file
    except OSError as error:
        raise fault(error, path) from error
    finally:
        with suppress(OSError):  # a disk that failed also fails here; the first error tells
            temporary.unlink(missing_ok=True)


def replace(source: Path, target: Path) -> None:
    """Move *source* over *target* (same file system); the names are on disk when this returns."""
    try:
        source.replace(target)
        fsync_directory(target.parent)
        if source.parent != target.parent:
            fsync_directory(source.parent)
    except OSError as error:
        raise fault(error, target) from error


def remove(path: Path) -> None:
    """Delete *path* if it exists; the deletion is on disk when this returns."""
    try:
        path.unlink(missing_ok=True)
        fsync_directory(path.parent)
    except OSError as error:
        raise fault(error, path) from error


def sweep(directory: Path) -> None:
    """Delete the unfinished files that a crash left in *directory*. Nobody else may be writing."""
    for leftover in directory.glob(f".*{TEMPORARY}"):
        leftover.unlink(missing_ok=True)


def fsync_directory(path: Path) -> None:
    """Put the names in a directory on disk."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def fsync_file(path: Path) -> None:
    """Put the content of a file that another program wrote on disk."""
    _fsync(path, os.O_RDONLY)


def fault(error: OSError, path: Path) -> ApplianceError:
    """Tell what *error* means for *path*: StorageFull when room is missing, else StorageBroken."""
    if error.errno in _FULL:
        return StorageFull(f"{path} cannot be written: the disk is full; make room and try again.")
    return StorageBroken(f"{path} cannot be written: {error.strerror or error}.")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
