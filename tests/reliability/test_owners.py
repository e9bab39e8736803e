"""A10: data directories that somebody else owns, can read, can write, or that are not what they seem.

The server runs as a user without rights. It refuses to start with exit code 78 and the command that
puts it right; the command is then run, and the server starts.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings

from .machine import needs
from .serving import Server
from .tiers import sized
from .verdict import Verdict

USER = 54321
MISCONFIGURED = 78
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")


def _linked(path: Path) -> None:
    path.rename(path.with_name(path.name + ".elsewhere"))
    path.symlink_to(path.with_name(path.name + ".elsewhere"))


def _foreign(path: Path) -> None:
    os.chown(path, 0, 0)


def _mode(mode: int) -> Callable[[Path], None]:
    return lambda path: path.chmod(mode)


def _a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.touch()


def _missing(path: Path) -> None:
    shutil.rmtree(path)
    os.chown(path.parent, 0, 0)


Wrong = tuple[str, Callable[[Path], None]]
MATRIX: dict[str, Wrong] = {
    "directory of root": ("", _foreign),
    "directory for everybody": ("", _mode(0o777)),
    "directory for the group": ("", _mode(0o770)),
    "directory read-only": ("", _mode(0o500)),
    "directory a file": ("", _a_file),
    "directory cannot be made": ("", _missing),
    "database for everybody": ("app.db", _mode(0o644)),
    "database of root": ("app.db", _foreign),
    "database a link": ("app.db", _linked),
    "key for everybody": ("admin.key", _mode(0o640)),
    "key a link": ("admin.key", _linked),
    "lock of root": ("instance.lock", _foreign),
}
SOME = sized(1, 6, 12)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of the user, where a server has run already."""
    needs("root", "setpriv")
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chown(place, USER, USER)
        Path(place).chmod(0o755)
        yield Path(place)


def _server(home: Path, sabotage: str = "") -> Server:
    settings = DatabaseSettings(path=str(home / "data" / "app.db"))
    return Server(home, settings, sabotage=sabotage, HOME=str(home))


def refused(server: Server, before: str) -> str:
    """Start the server, which must refuse, and return the command that puts it right."""
    with server.launched(*AS_USER) as process:
        assert MISCONFIGURED == process.wait(30), server.log
    told = server.log.removeprefix(before)
    found = re.search(r"to put it right: (.*)", told)
    assert found is not None, told
    return found[1]


def test_what_is_wrong_is_told_with_the_command_that_mends_it(
    home: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Nobody else may read or write what is kept, and whoever made a mistake can undo it."""
    server, data = _server(home), home / "data"
    verdict = Verdict("A10 owners and modes", SOME)
    with server.running(*AS_USER):
        verdict.findings.corrupt += _too_open(data)
    shutil.copytree(data, home / "before")
    for name in random.Random(seed).sample(list(MATRIX), SOME):
        victim, spoil = MATRIX[name]
        spoil(data / victim if victim else data)
        command = refused(server, server.log)
        subprocess.run(["sh", "-c", command.replace("sudo ", "")], check=True, cwd=home)
        with server.running(*AS_USER):
            verdict.findings.corrupt += _too_open(data)
        _as_before(home)
    verdict.recoveries = server.recoveries
    conclude(verdict)


@pytest.mark.reliability
def test_a_data_directory_behind_a_link_is_refused(home: Path) -> None:
    """Who can replace the link chooses where the data is; the sentence names the place itself."""
    server, data = _server(home), home / "data"
    with server.running(*AS_USER):
        pass
    _linked(data)
    assert f"--data-dir {data}.elsewhere" == refused(server, server.log)


@pytest.mark.reliability
def test_a_server_that_trusts_any_directory_is_caught(home: Path) -> None:
    """Where nobody looks, the server starts although everybody may read its data: that is found."""
    server, data = _server(home, "trust_any_directory"), home / "data"
    with server.running(*AS_USER):
        assert not _too_open(data)
    data.chmod(0o777)
    with server.running(*AS_USER):
        assert [f"{data} has the mode 0777"] == _too_open(data)


def _too_open(data: Path) -> list[str]:
    """Return what others could read or write."""
    modes = {path: path.stat().st_mode & 0o777 for path in (data, *data.iterdir())}
    return [
        f"{path} has the mode {mode:04o}"
        for path, mode in modes.items()
        if mode != (0o700 if path.is_dir() else 0o600)
    ]


def _as_before(home: Path) -> None:
    os.chown(home, USER, USER)
    for left in home.glob("data*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
    shutil.copytree(home / "before", home / "data")
    for path in (home / "data", *(home / "data").rglob("*")):
        os.chown(path, USER, USER)
