"""A workshop for each test, and no process left behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from tests.tools.scripting import ScriptWorkshop, offer
from tests.tools.workshop import Workshop, zygotes


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of event loop; only tests that ask for it run twice."""
    kind: str = request.param
    return kind


@pytest.fixture
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """A loop of uvloop, as in the server, or of what `loop_kind` says."""
    own = "loop_kind" in request.fixturenames and request.getfixturevalue("loop_kind") == "asyncio"
    with asyncio.Runner(
        loop_factory=asyncio.new_event_loop if own else uvloop.new_event_loop
    ) as it:
        yield it


@pytest.fixture
def workshop(runner: asyncio.Runner, tmp_path: Path) -> Iterator[Workshop]:
    """A workshop for Python."""
    workshop = Workshop(tmp_path, runner)
    yield workshop
    workshop.close()
    assert zygotes() == [], "a process outlived its pool"


@pytest.fixture(params=["node", "bun"])
def scripting(
    request: pytest.FixtureRequest,
    runner: asyncio.Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ScriptWorkshop]:
    """A workshop for JavaScript, on each program that runs it."""
    offer(request.param, monkeypatch)
    workshop = ScriptWorkshop(tmp_path, runner, request.param)
    yield workshop
    workshop.close()
    assert zygotes() == [], "a process outlived its pool"
