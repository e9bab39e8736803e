"""The data directory: everything the appliance keeps, owned by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import msgspec

from appliance import atomic
from appliance.errors import Forbidden, InvalidConfiguration, Locked

BEFORE_RESTORE = ".before-restore-"
"""Stands between the name of a database and the time at which a restore took its place."""

LOCK = "instance.lock"
"""The file that the process locks to which a directory belongs."""

_PRIVATE = ("app.db", "app.db-wal", "app.db-shm", "admin.key", LOCK, "ballast")


class Holder(msgspec.Struct, frozen=True):
    """The process that holds the directory. `pid` 0 and `url` "" mean that they are not known yet."""

    pid: int = 0
    url: str = ""


class InstanceLock:
    """The right to write in a data directory. The system takes it back when the process ends."""

    def __init__(self, descriptor: int, path: Path, url: str) -> None:
        self._descriptor = descriptor
        self._path = path
        self.announce(url)

    def announce(self, url: str) -> None:
        """Tell others where this process can be reached, "" for nowhere.

        Raises: StorageFull, StorageBroken.
        """
        line = msgspec.json.encode(Holder(os.getpid(), url)) + b"\n"
        try:
            os.pwrite(self._descriptor, line, 0)
            os.ftruncate(self._descriptor, len(line))
        except OSError as error:
            raise atomic.fault(error, self._path) from error

    def release(self) -> None:
        """Give the directory back. Calling it twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class DataDirectory:
    """The directory `data/`: where its files are, whether they are safe, and who holds them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.admin_key_path = path / "admin.key"
        self.backups_path = path / "backups"
        self.lock_path = path / LOCK

    def prepare(self) -> None:
        """Create the directory (0700) or make sure that nobody else can reach into it.

        Raises: InvalidConfiguration with the command that puts it right.
        """
        _own_directory(self.path)
        for name in _PRIVATE:
            _check_private(self.path / name)

    def prepare_backups(self) -> Path:
        """Create the directory of the backups when it is first needed, and return it."""
        _own_directory(self.backups_path)
        return self.backups_path

    def lock(self, url: str = "") -> InstanceLock:
        """Take the directory for this process and clear away what a crash left unfinished.

        Raises: Locked, naming the process that holds it, InvalidConfiguration (read-only disk),
        StorageFull, StorageBroken.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.lock_path, flags, 0o600)
        except OSError as error:
            if error.errno == errno.EROFS:  # after an error a disk may not even say that it is
                _refuse_read_only(self.path)
            raise atomic.fault(error, self.lock_path) from error
        if not _acquire(descriptor):
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise _locked(self.path, holder)
        atomic.sweep(self.path)
        atomic.sweep(self.backups_path)
        sweep_second_names(self.path)
        return InstanceLock(descriptor, self.lock_path, url)

    def require_free(self) -> None:
        """Look whether the directory could be taken now. Raises: Locked, naming who holds it.

        What is wrong with the directory itself is said by `prepare`.
        """
        holder = None
        with suppress(Forbidden):
            holder = self.holder()
        if holder is not None:
            raise _locked(self.path, holder)

    def holder(self) -> Holder | None:
        """Return the process that holds the directory, or None when nobody does."""
        try:
            descriptor = os.open(self.lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except PermissionError as error:
            raise Forbidden(
                f"{self.lock_path} cannot be read; run this as its owner, {_owner(self.path)}."
            ) from error
        except OSError:  # it is not there, or not what it must be, so nobody has locked it
            return None
        try:
            return None if _try(descriptor, fcntl.LOCK_SH) else _read_holder(descriptor)
        finally:
            os.close(descriptor)

    def read_admin_key(self) -> str | None:
        """Return the key that the first start left for the local command line, None if there is none.

        What a crash of the disk made of it is returned as it is.

        Raises: Forbidden when it belongs to another user.
        """
        try:
            return self.admin_key_path.read_text("ascii", "replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise Forbidden(
                f"{self.admin_key_path} cannot be read; run this as its owner, "
                f"{_owner(self.path)}, or give an API key."
            ) from error

    def write_secret(self, name: str, text: str) -> Path:
        """Write *text* and a line end to the file *name* (0600, atomic) and return its path."""
        path = self.path / name
        atomic.write(path, text.encode() + b"\n")
        return path


@contextmanager
def held(data: DataDirectory, database: str) -> Iterator[InstanceLock]:
    """Hold *data* for this block, and the directory of a *database* file that is elsewhere.

    Raises: Locked, naming the process that holds it.
    """
    home = Path(database).parent  # absolute for a file of SQLite alone
    with ExitStack() as stack:
        lock = stack.enter_context(data.lock())
        if home.is_absolute() and home != data.path:
            stack.enter_context(DataDirectory(home).lock())
        yield lock


def sweep_second_names(directory: Path) -> None:
    """Take away the second name that an interrupted restore gave to the database still in use.

    SQLite keeps its log beside the name by which a file was opened: two names could destroy it.
    """
    for second in directory.glob(f"*{BEFORE_RESTORE}*"):
        database = directory / second.name.partition(BEFORE_RESTORE)[0]
        if database.exists() and second.samefile(database):
            atomic.remove(second)


def _own_directory(path: Path) -> None:
    """Create *path* with mode 0700, or refuse it when it is not ours alone to write."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(0o700)
        atomic.fsync_directory(path.parent)
    except FileExistsError:
        _check_directory(path)
    except OSError as error:
        _refuse(
            f"{path} cannot be created: {error.strerror}",
            f"sudo install -d -m 700 -o {_user(os.geteuid())} {_quote(path)}",
        )


def _check_directory(path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        _refuse(f"{path} is a symbolic link", f"--data-dir {_quote(path.resolve())}")
    if not stat.S_ISDIR(status.st_mode):
        _refuse(f"{path} is not a directory", f"mv {_quote(path)} {_quote(path)}.old")
    _check_owner(path, status)
    if status.st_mode & 0o022:
        _refuse(
            f"{path} {_mode(status)} can be written by other users", f"chmod 700 {_quote(path)}"
        )
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        _refuse_read_only(path)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        _refuse(f"{path} {_mode(status)} cannot be written", f"chmod 700 {_quote(path)}")


def _check_private(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
        _refuse(f"{path} is {kind}", f"mv {_quote(path)} {_quote(path)}.old")
    _check_owner(path, status)
    if status.st_mode & 0o077:
        _refuse(f"{path} {_mode(status)} is open to other users", f"chmod 600 {_quote(path)}")


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        me = _user(os.geteuid())
        _refuse(
            f"{path} belongs to {_user(status.st_uid)}, not to {me}, who runs this",
            f"sudo chown -R {me} {_quote(path)}",
        )


def _refuse_read_only(path: Path) -> NoReturn:
    _refuse(
        f"{path} is on a file system that is read-only",
        f'sudo mount -o remount,rw "$(findmnt -n -o TARGET -T {_quote(path)})"',
    )


def _refuse(wrong: str, remedy: str) -> NoReturn:
    raise InvalidConfiguration(f"{wrong}; to put it right: {remedy}", remedy=remedy)


def _acquire(descriptor: int) -> bool:
    while not _try(descriptor, fcntl.LOCK_EX):
        if not _try(descriptor, fcntl.LOCK_SH):
            return False
        # A shared lock was to be had: the other one is only looking (`holder`), so ask again.
    return True


def _try(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_holder(descriptor: int) -> Holder:
    line, _, _ = os.pread(descriptor, 4096, 0).partition(b"\n")
    try:
        return msgspec.json.decode(line, type=Holder)
    except msgspec.DecodeError:
        return Holder()  # it has the lock and is about to write its name


def _locked(path: Path, holder: Holder) -> Locked:
    who = f"process {holder.pid}" if holder.pid else "another process"
    where = f" ({holder.url})" if holder.url else ""
    sentence = f"{path} is in use by {who}{where}; stop it first or choose another --data-dir."
    return Locked(sentence, pid=holder.pid, url=holder.url)


def _owner(path: Path) -> str:
    return _user(path.stat().st_uid)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _mode(status: os.stat_result) -> str:
    return f"(mode {stat.S_IMODE(status.st_mode):04o})"


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
