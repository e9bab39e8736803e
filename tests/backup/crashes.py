"""Crash a restore at every step it takes with files, and look at what is left.

    python -m tests.backup.crashes ARCHIVE DIRECTORY SCRATCH

DIRECTORY is a data directory as a killed server left it. The interpreter tells an audit hook
about each file that is opened, linked, renamed or deleted; a child process ends itself just before
the n-th of them, for every n until the restore runs through. Prints what was found after each crash.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from pathlib import Path

from appliance.backup.restore import restore
from appliance.store.datadir import DataDirectory
from tests.backup import ledger

CRASHED = 99
_STEPS = ("open", "sqlite3.connect", "os.link", "os.rename", "os.remove", "os.mkdir", "os.chmod")


def main() -> None:
    """Crash at step 0, 1, 2 ... until nothing is left to crash."""
    archive, directory, scratch = map(Path, sys.argv[1:])
    new = _restored(archive, directory, scratch / "whole")
    old = ledger.rows(shutil.copytree(directory, scratch / "old") / "app.db")
    for step in itertools.count():
        data = DataDirectory(shutil.copytree(directory, scratch / str(step)))
        crashed = _crash(archive, data, step)
        seen = ledger.rows(shutil.copytree(data.path, scratch / f"{step}-seen") / "app.db")
        assert seen in (old, new), f"step {step}: a mix, {seen}"
        _check_next_start(data, step)
        assert _restored(archive, data.path, scratch / f"{step}-again") == new
        sys.stdout.write("new\n" if seen == new else "old\n")
        if not crashed:
            return


def _restored(archive: Path, directory: Path, copy: Path) -> list[int]:
    data = DataDirectory(shutil.copytree(directory, copy))
    restore(archive, data, ledger.settings(data.path))
    return ledger.rows(data.path / "app.db")


def _crash(archive: Path, data: DataDirectory, step: int) -> bool:
    child = os.fork()
    if child == 0:
        _end_before(step)
        restore(archive, data, ledger.settings(data.path))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, CRASHED), f"step {step} ended with {code}"
    return code == CRASHED


def _end_before(step: int) -> None:
    left = step

    def hook(event: str, _: tuple[object, ...]) -> None:
        nonlocal left
        if event in _STEPS:
            if left == 0:
                os._exit(CRASHED)
            left -= 1

    sys.addaudithook(hook)


def _check_next_start(data: DataDirectory, step: int) -> None:
    """Whoever takes the directory next clears away what the crash left."""
    data.prepare()
    data.lock().release()
    assert list(data.path.glob(".*.tmp")) == [], f"step {step}: unfinished files stay"
    assert (data.path / "app.db").stat().st_nlink == 1, f"step {step}: two names for one database"


if __name__ == "__main__":
    main()
