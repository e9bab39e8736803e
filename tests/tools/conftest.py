"""A workshop for each test, and no process left behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from tests.tools.workshop import Workshop, zygotes


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of event loop; only tests that ask for it run twice."""
    kind: str = request.param
    return kind


@pytest.fixture
def workshop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    """A workshop on uvloop, as in the server, or on what `loop_kind` says."""
    own = "loop_kind" in request.fixturenames and request.getfixturevalue("loop_kind") == "asyncio"
    factory = asyncio.new_event_loop if own else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        workshop = Workshop(tmp_path, runner)
        yield workshop
        workshop.close()
    assert zygotes() == [], "a process outlived its pool"
