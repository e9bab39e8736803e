"""The data directory is private and has one owner at a time."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import Forbidden, InvalidConfiguration, Locked
from appliance.store.datadir import DataDirectory, Holder


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    return directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_prepare_creates_a_private_directory(tmp_path: Path) -> None:
    """The directory is 0700 even when the umask would allow more, and its parents are made."""
    before = os.umask(0)
    try:
        DataDirectory(tmp_path / "a" / "data").prepare()
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "data") == 0o700


def test_prepare_twice(data: DataDirectory) -> None:
    """What we made ourselves is accepted the next time, and no backups directory is made early."""
    data.prepare()
    assert list(data.path.iterdir()) == []


def test_backups_directory_comes_when_needed(data: DataDirectory) -> None:
    """`backups/` is private as well."""
    assert data.prepare_backups() == data.backups_path
    assert mode(data.backups_path) == 0o700


@pytest.mark.parametrize("bits", [0o777, 0o770, 0o720, 0o702])
def test_directory_that_others_can_write_is_refused(data: DataDirectory, bits: int) -> None:
    """The message names the path, the mode and the command that puts it right, and that works."""
    data.path.chmod(bits)
    with pytest.raises(InvalidConfiguration) as caught:
        data.prepare()
    remedy = f"chmod 700 {data.path}"
    expected = (
        f"{data.path} (mode {bits:04o}) can be written by other users; to put it right: {remedy}"
    )
    assert caught.value.message == expected
    subprocess.run(caught.value.details["remedy"], shell=True, check=True)
    data.prepare()


def test_linked_directory_is_refused(tmp_path: Path, data: DataDirectory) -> None:
    """A link could lead anywhere; the real place is named instead."""
    link = tmp_path / "link"
    link.symlink_to(data.path)
    with pytest.raises(InvalidConfiguration, match=f"symbolic link; .* --data-dir {data.path}"):
        DataDirectory(link).prepare()


def test_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    """A file is not deleted to make room."""
    path = tmp_path / "data"
    path.write_bytes(b"")
    with pytest.raises(InvalidConfiguration, match="is not a directory"):
        DataDirectory(path).prepare()


def test_foreign_directory_is_refused(data: DataDirectory) -> None:
    """Whoever owns a directory can swap its files, so it must be ours."""
    foreign = data
    if os.geteuid() == 0:
        os.chown(data.path, 65534, 65534)
    else:
        foreign = DataDirectory(Path("/usr"))
    with pytest.raises(InvalidConfiguration, match=r"belongs to \w+, not to \w+.*sudo chown -R"):
        foreign.prepare()


@pytest.mark.parametrize("name", ["app.db", "app.db-wal", "admin.key", "instance.lock"])
def test_linked_file_is_refused(data: DataDirectory, name: str) -> None:
    """No file of ours may be a link out of the directory."""
    (data.path / name).symlink_to("/etc/hostname")
    with pytest.raises(InvalidConfiguration, match=f"{name} is a symbolic link"):
        data.prepare()


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o602])
def test_open_file_is_refused(data: DataDirectory, bits: int) -> None:
    """The database and the secrets are for nobody else to read."""
    path = data.path / "app.db"
    path.touch()
    path.chmod(bits)
    with pytest.raises(InvalidConfiguration, match=f"chmod 600 {path}"):
        data.prepare()


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory that we own, as somebody who may not write everywhere."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        if os.geteuid() != 0:
            yield path
            return
        os.chown(path, 65534, 65534)
        os.seteuid(65534)
        try:
            yield path
        finally:
            os.seteuid(0)


def test_read_only_directory_is_refused(unprivileged: Path) -> None:
    """A directory without the right to write is named before anything fails half-way."""
    unprivileged.chmod(0o500)
    with pytest.raises(InvalidConfiguration) as caught:
        DataDirectory(unprivileged).prepare()
    expected = (
        f"{unprivileged} (mode 0500) cannot be written; to put it right: chmod 700 {unprivileged}"
    )
    assert caught.value.message == expected
    unprivileged.chmod(0o700)
    DataDirectory(unprivileged).prepare()


def test_parent_that_cannot_be_written(tmp_path: Path) -> None:
    """When the directory cannot be made, the message says how an administrator makes it."""
    with pytest.raises(InvalidConfiguration, match="sudo install -d -m 700"):
        DataDirectory(Path("/proc/data")).prepare()


def test_lock_names_its_holder(data: DataDirectory) -> None:
    """The second one learns who is there and where to reach it."""
    with data.lock() as lock:
        lock.announce("http://127.0.0.1:5001")
        with pytest.raises(Locked) as caught:
            data.lock()
        assert data.holder() == Holder(os.getpid(), "http://127.0.0.1:5001")
    assert f"process {os.getpid()} (http://127.0.0.1:5001)" in caught.value.message
    assert caught.value.exit_code == 73
    assert mode(data.lock_path) == 0o600


def test_lock_can_be_taken_again(data: DataDirectory) -> None:
    """After the release nobody holds it, and a shorter announcement leaves no rest of a longer one."""
    assert data.holder() is None
    data.lock("http://[2001:db8::1234:5678]:65535").release()
    assert data.holder() is None
    with data.lock("x"):
        assert data.holder() == Holder(os.getpid(), "x")


def test_lock_vanishes_with_the_process(data: DataDirectory) -> None:
    """After kill -9 the next start needs nobody to clean up."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from appliance.store.datadir import DataDirectory\n"
        "lock = DataDirectory(Path(sys.argv[1])).lock(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, data.path], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert data.holder() == Holder(child.pid)
        with pytest.raises(Locked, match=f"process {child.pid};"):
            data.lock()
        child.send_signal(signal.SIGKILL)
        child.wait()
    data.lock().release()


def test_looking_does_not_get_in_the_way(data: DataDirectory) -> None:
    """However often others look who is there, taking the lock succeeds."""
    script = (
        "import sys; from pathlib import Path\n"
        "from appliance.store.datadir import DataDirectory\n"
        "data = DataDirectory(Path(sys.argv[1])); print('looking', flush=True)\n"
        "while True: data.holder()"
    )
    data.lock().release()
    with subprocess.Popen(
        [sys.executable, "-c", script, data.path], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"looking\n"
        for _ in range(2000):
            data.lock().release()
        child.kill()


def test_lock_clears_unfinished_files(data: DataDirectory) -> None:
    """What a crash left half-written is gone when the next process takes over."""
    for directory in (data.path, data.prepare_backups()):
        (directory / ".file.012345.tmp").touch()
    data.lock().release()
    assert [path.name for path in data.path.rglob("*.tmp")] == []


def test_half_written_lock_file_is_no_error(data: DataDirectory) -> None:
    """The holder may just be starting: it is there, without a name."""
    with data.lock():
        os.truncate(data.lock_path, 3)
        assert data.holder() == Holder()
        with pytest.raises(Locked, match="in use by another process; stop it first"):
            data.lock()


def test_secret_round_trip(data: DataDirectory) -> None:
    """The key of the first administrator comes back as it was and only its owner can read it."""
    assert data.read_admin_key() is None
    assert data.write_secret("admin.key", "cpzy_abc") == data.admin_key_path
    assert data.read_admin_key() == "cpzy_abc"
    assert mode(data.admin_key_path) == 0o600


def test_foreign_secret_names_its_owner(
    data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's command line is told as whom to run."""
    data.write_secret("admin.key", "cpzy_abc")

    def deny(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", deny)
    with pytest.raises(Forbidden, match=r"run this as its owner, \w+, or give an API key"):
        data.read_admin_key()
