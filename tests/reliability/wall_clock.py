"""A wall clock that can be set, for one process and those that it starts; all others keep theirs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("wall_clock.c")


class WallClock:
    """The clock of whatever is started by `command`. Skips the test where there is no C compiler."""

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            pytest.skip("there is no C compiler for a wall clock that can be set")
        library, self._offset = directory / "wall_clock.so", directory / "offset"
        options = ["-shared", "-fPIC", "-O2", "-o"]
        subprocess.run([compiler, *options, library, SOURCE], check=True, timeout=60)
        self.set(0)
        self.command = (
            *("env", f"LD_PRELOAD={library}"),
            f"WALL_CLOCK_OFFSET={self._offset}",
        )

    def set(self, ahead_s: float) -> None:
        """Let the clock be so many seconds ahead of the true one from now on."""
        with self._offset.open("r+b" if self._offset.exists() else "xb") as file:
            file.write(round(ahead_s * 1e9).to_bytes(8, "little", signed=True))
