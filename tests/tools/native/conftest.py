"""A cell for each test, and no process left behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from tests.tools.native.cell import Cell
from tests.tools.workshop import zygotes


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    """A cell on the event loop of the server."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        cell = Cell(tmp_path, runner)
        yield cell
        cell.close()
    assert zygotes() == [], "a process outlived its pool"
