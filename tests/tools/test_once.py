"""The invariant: each call gets one outcome, the right one; a killed call gets none."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import InvalidInput
from appliance.tools import pool as pool_module
from appliance.tools.pool import ToolCall, ToolOutcome, ToolPool, ToolResult, ToolRuntime
from tests.tools.workshop import request, zygotes

FUNCTIONS = """
import os, time
def fine(n): return n
def slow(n): time.sleep(0.03); return n
def large(n): return [n, "x" * 300000]
def fail(n): raise ValueError(n)
def crash(n): os._exit(1)
def hang(n): time.sleep(600)
def chatty(n): os.write(1, b""); return n
"""

EXPECTED = {
    "fine": {"result"},
    "slow": {"result"},
    "large": {"result"},
    "chatty": {"result"},
    "fail": {"TOOL_ERROR"},
    "crash": {"TOOL_CRASHED"},
    "hang": {"TOOL_TIMEOUT"},
    "missing": {"TOOL_NOT_FOUND"},
}

calls = st.tuples(
    st.sampled_from(sorted(EXPECTED)), st.none() | st.floats(0, 0.06).map(lambda s: round(s, 3))
)
"""A tool, and after how many seconds its call is killed."""

upheavals = st.sampled_from(["kill the zygote", "reload", "pause"])
histories = st.lists(calls | upheavals, max_size=25)


class Ledger:
    """Makes the calls of a history and notes every outcome that is delivered."""

    def __init__(self, pool: ToolPool) -> None:
        self.pool = pool
        self.tools: list[str] = []
        self.delivered: list[list[str]] = []
        self.owed: list[int] = []
        """How many outcomes each call was to get, as far as is settled."""

    def call(self, tool: str, kill_after: float | None) -> None:
        number = len(self.tools)
        timeout = 0.05 if tool == "hang" else 20.0
        self.tools.append(tool)
        self.delivered.append([])
        self.owed.append(1)
        handle = self.pool.submit(
            request(tool, timeout=timeout, n=number), lambda outcome: self._note(number, outcome)
        )
        assert self.delivered[number] == [], "an outcome came before submit returned"
        if kill_after is not None:
            asyncio.get_running_loop().call_later(kill_after, self._kill, number, handle)

    def _note(self, number: int, outcome: ToolOutcome) -> None:
        if isinstance(outcome, ToolResult):
            assert outcome.output.lstrip(b"[").startswith(b"%d" % number)
        self.delivered[number].append(getattr(outcome, "code", "result"))

    def _kill(self, number: int, handle: ToolCall) -> None:
        self.owed[number] = len(self.delivered[number])
        handle.kill()

    def settled(self) -> bool:
        return [len(each) for each in self.delivered] == self.owed


async def live_through(pool: ToolPool, history: list[Any]) -> Ledger:
    ledger = Ledger(pool)
    for event in history:
        if isinstance(event, tuple):
            ledger.call(*event)
        elif event == "kill the zygote":
            for pid in zygotes():
                os.kill(pid, signal.SIGKILL)
        elif event == "reload":
            with suppress(InvalidInput):  # the zygote to be was killed meanwhile
                await pool.reload()
        else:
            await asyncio.sleep(0.02)
    async with asyncio.timeout(20):
        await asyncio.sleep(0.07)  # every kill has happened
        while not ledger.settled():
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.02)
    return ledger


@settings(max_examples=20, deadline=None)
@given(history=histories)
def test_each_call_has_one_outcome(
    history: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Through crashes, time-outs, kills, reloads and the death of the zygote."""
    entrypoint = _entrypoint(tmp_path_factory)

    async def example() -> Ledger:
        pool = ToolPool(ToolRuntime(entrypoint, max_processes=6))
        await pool.open()
        try:
            return await live_through(pool, history)
        finally:
            await pool.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool_module, "STABLE_AFTER", 0.0)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            ledger = runner.run(example())

    assert ledger.settled()
    disturbed = "kill the zygote" in history
    for tool, delivered in zip(ledger.tools, ledger.delivered, strict=True):
        allowed = EXPECTED[tool] | ({"TOOL_CRASHED", "TOOL_UNAVAILABLE"} if disturbed else set())
        assert set(delivered) <= allowed
    assert zygotes() == []


def _entrypoint(factory: pytest.TempPathFactory) -> Path:
    path = factory.getbasetemp() / "once.py"
    path.write_text(FUNCTIONS)
    return path
