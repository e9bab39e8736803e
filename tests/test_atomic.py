"""Files are whole or untouched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance import atomic
from appliance.errors import StorageBroken, StorageFull


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_write_replaces_content(tmp_path: Path) -> None:
    """The new content takes the place of the old one and no other file stays."""
    path = tmp_path / "secret"
    atomic.write(path, b"old")
    atomic.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["secret"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_mode_does_not_depend_on_the_umask(tmp_path: Path, mask: int) -> None:
    """A secret is 0600 and an executable is 0755, whatever the umask says."""
    before = os.umask(mask)
    try:
        atomic.write(tmp_path / "secret", b"")
        atomic.write(tmp_path / "program", b"", mode=0o755)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("secret", "program")]
    assert modes == [0o600, 0o755]


def test_private_from_the_first_byte(tmp_path: Path) -> None:
    """Nobody else can open the file while it is being written."""
    before = os.umask(0)
    try:
        with atomic.create(tmp_path / "secret") as file:
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    finally:
        os.umask(before)


def test_failure_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """When the block fails, the old content stays and nothing is left behind."""
    path = tmp_path / "file"
    atomic.write(path, b"old")
    with pytest.raises(TypeError), atomic.create(path) as file:
        file.writelines([b"half of the n", None])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_new_content_is_invisible_until_it_is_whole(tmp_path: Path) -> None:
    """A reader sees the old content up to the moment of the rename."""
    path = tmp_path / "file"
    atomic.write(path, b"old")
    with atomic.create(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_order_of_system_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content reaches the disk before its name does, and the name before the call returns."""
    calls: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def record_fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("fsync directory" if is_directory else "fsync file")
        fsync(descriptor)

    def record_rename(source: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_rename)
    atomic.write(tmp_path / "file", b"data")
    assert calls == ["fsync file", "rename", "fsync directory"]


def test_full_disk_has_its_own_error() -> None:
    """No room is something a user can mend, so it is told apart from a broken disk."""
    if not Path("/dev/full").is_char_device():
        pytest.fail("/dev/full is part of every Linux system")
    with pytest.raises(StorageFull, match="the disk is full"):
        _write_to_full_device()


def _write_to_full_device() -> None:
    try:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")
    except OSError as error:
        raise atomic.fault(error, Path("/dev/full")) from error


def test_other_failures_name_the_file(tmp_path: Path) -> None:
    """A file that cannot be written is named together with the reason."""
    missing = tmp_path / "missing" / "file"
    with pytest.raises(StorageBroken, match=r"missing/file cannot be written: No such file"):
        atomic.write(missing, b"")


def test_a_link_is_replaced_and_never_followed(tmp_path: Path) -> None:
    """Whoever plants a link where we write does not get our content elsewhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    link = tmp_path / "link"
    link.symlink_to(victim)
    atomic.write(link, b"new")
    assert (victim.read_bytes(), link.is_symlink(), link.read_bytes()) == (b"mine", False, b"new")


def test_remove_twice(tmp_path: Path) -> None:
    """Removing what is gone is no error."""
    path = tmp_path / "file"
    atomic.write(path, b"")
    atomic.remove(path)
    atomic.remove(path)
    assert names(tmp_path) == []


def test_sweep_takes_only_unfinished_files(tmp_path: Path) -> None:
    """What a crash left is cleared; a user's own hidden file and our finished files stay."""
    for name in (".app.db.0123.tmp", ".keep", "notes.tmp", "app.db"):
        (tmp_path / name).write_bytes(b"")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == [".keep", "app.db", "notes.tmp"]
