"""The files of a SQLite database while it is open: whether they are still ours, and how to save them.

SQLite goes on with a file that was deleted or replaced: it acknowledges writes that nobody can open
again. So somebody has to look, and what was acknowledged has to be saved before the process ends.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from appliance import atomic, clock
from appliance.errors import ApplianceError, InvalidConfiguration, Overloaded, StorageBroken
from appliance.store import copying
from appliance.store.datadir import LOCK

_OUT_OF_ORDER = (errno.EROFS, errno.EIO)

RESCUED = ".rescued-"
"""Stands between the name of a database and the time at which it was saved from being lost."""


class Files:
    """The database *path* and its log, as they were when they were opened."""

    def __init__(self, path: str) -> None:
        self._database, self._wal = Path(path), Path(f"{path}-wal")
        self._witness = self._database.with_name(LOCK)
        self._inodes = {name: _inode(name) for name in (self._database, self._wal)}
        self.written()

    def written(self) -> None:
        """Note that we wrote the database itself: nobody else may."""
        self._moment = _moment(self._database)

    def look(self, connection: sqlite3.Connection) -> None:
        """Raise StorageBroken when somebody interfered; what *connection* still holds is saved."""
        try:
            self._look(connection)
        except OSError as error:
            raise atomic.fault(error, self._database) from error

    def _look(self, connection: sqlite3.Connection) -> None:
        self._require_disk()
        if _inode(self._database) != self._inodes[self._database]:
            raise StorageBroken(f"{_taken(self._database)} {self._rescue(connection)}")
        if _inode(self._wal) != self._inodes[self._wal]:
            raise StorageBroken(f"{_taken(self._wal)} {self._fold(connection)}")
        if _moment(self._database) != self._moment:
            raise StorageBroken(
                f"{self._database} was written by another program while the database was open;"
                " nothing more is written. If it was copied over, restore a backup."
            )

    def _require_disk(self) -> None:
        """Raise OSError when the disk was switched off or to read-only meanwhile.

        On ext4 an fsync that comes after that can succeed and do nothing. What needs the journal
        fails from the first moment on, and opening for writing soon after it. Not a file of SQLite,
        for closing one of those would take away the locks that it has on them.
        """
        try:
            witness = os.open(self._witness, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # nobody has locked the directory: a command, not a server
            return
        except OSError as error:
            if Overloaded.by(error) is None:  # without a file to spare there is no look
                raise
            return
        try:
            os.posix_fallocate(witness, 0, 1)  # it has that byte, but only the journal may say so
        except OSError as error:
            if error.errno in _OUT_OF_ORDER:
                raise
        finally:
            os.close(witness)

    def _rescue(self, connection: sqlite3.Connection) -> str:
        """Copy what has no name any more; the log would be played into whatever has the name now."""
        stamp = (clock.to_rfc3339(clock.now_us()) or "").replace("-", "").replace(":", "")
        target = Path(f"{self._database}{RESCUED}{stamp}")
        try:
            with atomic.create(target) as file:
                copying.copy(connection, Path(file.name), lambda: None)
            if _inode(self._wal) == self._inodes[self._wal]:
                atomic.remove(self._wal)
        except (ApplianceError, sqlite3.Error) as error:
            return (
                f"What was acknowledged could not be saved: {error} "
                "Look whether the file was only moved, otherwise restore a backup."
            )
        return (
            f"Everything acknowledged was saved to {target}; to go on with it, stop the server, "
            f"run `mv {target} {self._database}` and start again."
        )

    def _fold(self, connection: sqlite3.Connection) -> str:
        """Move the log, which we still have open, into the database."""
        try:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        except sqlite3.Error:
            busy = True
        if busy:
            return f"Not all of it could be moved into {self._database}; restore a backup."
        return f"Everything acknowledged is in {self._database}; start again."


def refuse_rescued(path: Path) -> None:
    """Refuse to begin anew where the database is missing and was saved under another name.

    Raises: InvalidConfiguration with the command that puts it right.
    """
    rescued = max(path.parent.glob(f"{path.name}{RESCUED}*"), default=None)
    if rescued is not None and not path.exists():
        raise InvalidConfiguration(
            f"{path} was deleted while it was in use, and what it held was saved; "
            f"to put it right: mv {rescued} {path}"
        )


def _taken(path: Path) -> str:
    return f"{path} was deleted or replaced while the database was open; nothing more is written."


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _moment(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
