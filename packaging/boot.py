"""The first code of compozy.pyz: unpacks the program where that is still to be done, then runs it.

It is copied to the top of the archive and keeps to the syntax of Python 3.7, so that an old Python
gets far enough to be told that it is too old.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import zipfile
from pathlib import Path

MINIMUM = (3, 11)
DONE = "complete"
"""The mark that an unpacked program reached the disk. Without it the program is unpacked again."""


def main() -> None:
    """Make sure that the program is unpacked whole, then hand over to it."""
    if sys.version_info < MINIMUM:
        _end(78, f"compozy needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    try:
        _prepare()
    except (OSError, RuntimeError) as error:
        _end(74, f"compozy cannot unpack itself: {error}; set SHIV_ROOT to a directory with room.")
    from _bootstrap import bootstrap

    bootstrap()


def target() -> str:
    """Return the Python and the processor for which compiled modules must be made: cp311-x86_64."""
    return f"cp{sys.version_info[0]}{sys.version_info[1]}-{os.uname().machine}"


def _prepare() -> None:
    from _bootstrap import cache_path
    from _bootstrap.environment import Environment

    if Environment.ROOT not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        os.environ[Environment.ROOT] = str(Path(base, "compozy"))
    with zipfile.ZipFile(sys.argv[0]) as archive:
        built_for = archive.read("target").decode()
        if built_for != target():
            _end(78, f"this compozy was built for {built_for}; this Python is {target()}.")
        environment = Environment.from_json(archive.read("environment.json").decode())
        tree = cache_path(archive, environment.root, environment.build_id)
        if environment.force_extract:
            (tree / DONE).unlink(missing_ok=True)
            del os.environ[Environment.FORCE_EXTRACT]
        if not (tree / DONE).exists():
            _unpack(archive, tree)


def _unpack(archive: zipfile.ZipFile, tree: Path) -> None:
    """Unpack under a lock. The mark is set when everything is on disk, not before."""
    from _bootstrap import extract_site_packages

    tree.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (tree.parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (tree / DONE).exists():
            return
        _make_room(tree)
        extract_site_packages(archive, tree)
        os.sync()
        (tree / DONE).touch()  # not on disk yet: losing it costs one more unpacking, no more


def _make_room(tree: Path) -> None:
    """Delete what was unpacked in part, and older programs but the last, which may be running."""
    shutil.rmtree(tree, ignore_errors=True)
    shutil.rmtree(tree.with_name(tree.name + ".tmp"), ignore_errors=True)
    others = [other for other in tree.parent.glob("*.pyz_*") if other.is_dir()]
    for other in sorted(others, key=lambda other: other.stat().st_mtime)[:-1]:
        shutil.rmtree(other, ignore_errors=True)


def _end(code: int, message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(code)
