"""A pool with an entrypoint that a test wrote, driven from plain functions."""

from __future__ import annotations

import asyncio
import os
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.tools.pool import (
    ToolCall,
    ToolFailure,
    ToolOutcome,
    ToolPool,
    ToolRequest,
    ToolResult,
    ToolRuntime,
)

CONTEXT = {"workflow_exec_id": "w1", "workflow_id": "w", "task_exec_id": "w1.1", "task_id": "t"}


def request(
    tool: str, *, timeout: float = 20.0, env: dict[str, str] | None = None, **arguments: Any
) -> ToolRequest:
    """Return a request with the arguments given by keyword."""
    encoded = msgspec.json.encode(arguments)
    return ToolRequest(tool, encoded, {**CONTEXT, "attempt": 1}, timeout, env or {})


class Workshop:
    """Writes entrypoints into *directory* and runs pools on the loop of *runner*."""

    def __init__(self, directory: Path, runner: asyncio.Runner) -> None:
        self.entrypoint = directory / "functions.py"
        self._runner = runner
        self._pools: list[ToolPool] = []

    def write(self, source: str) -> Path:
        """Make *source* the text of the entrypoint."""
        self.entrypoint.write_text(textwrap.dedent(source))
        return self.entrypoint

    def open(self, source: str, **settings: Any) -> ToolPool:
        """Open a pool of the functions in *source*."""
        return self.open_at(self.write(source), **settings)

    def open_at(self, entrypoint: Path, **settings: Any) -> ToolPool:
        """Open a pool of the functions in a file."""
        self.pool = ToolPool(ToolRuntime(entrypoint, **settings))
        self._pools.append(self.pool)
        self._runner.run(self.pool.open())
        return self.pool

    def close(self) -> None:
        """Close every pool."""
        for pool in self._pools:
            self._runner.run(pool.close())

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Wait for *awaitable* and return its result."""

        async def wait() -> Any:
            return await awaitable

        return self._runner.run(wait())

    def submit(self, wanted: ToolRequest) -> tuple[ToolCall, asyncio.Future[ToolOutcome]]:
        """Begin a call; the future gets its outcome."""
        future: asyncio.Future[ToolOutcome] = self._runner.get_loop().create_future()
        return self.pool.submit(wanted, future.set_result), future

    def outcome(self, tool: str, **options: Any) -> ToolOutcome:
        """Call a tool and return what came of it."""
        return self.outcomes([request(tool, **options)])[0]

    def outcomes(self, wanted: list[ToolRequest]) -> list[ToolOutcome]:
        """Call tools at the same time."""

        async def settle() -> list[ToolOutcome]:
            return list(await asyncio.gather(*[self.submit(each)[1] for each in wanted]))

        return self._runner.run(settle())

    def output(self, tool: str, **options: Any) -> Any:
        """Call a tool that is expected to return, and return what it did."""
        outcome = self.outcome(tool, **options)
        assert isinstance(outcome, ToolResult), outcome
        return msgspec.json.decode(outcome.output)

    def failure(self, tool: str, **options: Any) -> ToolFailure:
        """Call a tool that is expected to fail, and return why it did."""
        outcome = self.outcome(tool, **options)
        assert isinstance(outcome, ToolFailure), outcome
        return outcome

    def wait_until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Let the loop run until *condition* holds; False when it does not in time."""

        async def poll() -> bool:
            deadline = time.monotonic() + seconds
            while not condition() and time.monotonic() < deadline:
                await asyncio.sleep(0.002)
            return condition()

        return self._runner.run(poll())


def gone(pid: int) -> bool:
    """Tell whether a process is no more, or only a zombie that its parent has not looked at."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def children(pid: int) -> list[int]:
    """Return the processes whose parent is *pid*."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(status.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def zygotes() -> list[int]:
    """Return the zygotes that this process started; it may have other children."""
    return [
        pid
        for pid in children(os.getpid())
        if b"zygote.process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def descriptors(pid: int) -> dict[str, str]:
    """Return what the descriptors of a process refer to."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except FileNotFoundError:
            continue
    return found
