"""A pool of native tools over directories of its own, driven from plain functions."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec

from appliance.tools.pool import (
    ToolFailure,
    ToolOutcome,
    ToolPool,
    ToolRequest,
    ToolResult,
    ToolRuntime,
)
from appliance.tools.zygote.native.grant import Grant
from tests.tools.workshop import gone

SECRET = "hunter2-the-secret"


class Cell:
    """`root` is what the tools may reach, `outside` is beside it; both hold a file `note.txt`."""

    def __init__(self, home: Path, runner: asyncio.Runner) -> None:
        self.root, self.outside = home / "root", home / "outside"
        for directory, text in ((self.root, "inside"), (self.outside, SECRET)):
            directory.mkdir()
            (directory / "note.txt").write_text(text)
        self._runner = runner
        self._pool: ToolPool | None = None
        self.env: dict[str, str] = {}

    def open(self, **grant: Any) -> None:
        """Say what the tools may do beside using the root."""
        self.close()
        runtime = ToolRuntime(None, native=Grant(str(self.root), **grant), env=self.env)
        self._pool = ToolPool(runtime)
        self._runner.run(self._pool.open())

    def close(self) -> None:
        """End every process."""
        if self._pool is not None:
            self._runner.run(self._pool.close())
            self._pool = None

    @property
    def pool(self) -> ToolPool:
        """The pool, with nothing but the root allowed unless it was opened otherwise."""
        if self._pool is None:
            self.open()
        assert self._pool is not None
        return self._pool

    def outcomes(
        self, *wanted: tuple[str, dict[str, Any]], timeout: float = 20.0
    ) -> list[ToolOutcome]:
        """Call tools at the same time; a name stands for `cp__<name>`."""
        pool = self.pool

        async def settle() -> list[ToolOutcome]:
            loop = asyncio.get_running_loop()
            futures = []
            for tool, arguments in wanted:
                future: asyncio.Future[ToolOutcome] = loop.create_future()
                encoded = msgspec.json.encode(arguments)
                pool.submit(ToolRequest(f"cp__{tool}", encoded, {}, timeout), future.set_result)
                futures.append(future)
            return list(await asyncio.gather(*futures))

        return self._runner.run(settle())

    def ends(self, pid: int, seconds: float = 5.0) -> bool:
        """Let the loop run until a process is gone; False when it is not in time."""

        async def wait() -> bool:
            deadline = time.monotonic() + seconds
            while not gone(pid) and time.monotonic() < deadline:
                await asyncio.sleep(0.005)
            return gone(pid)

        return self._runner.run(wait())

    def output(self, tool: str, **arguments: Any) -> Any:
        """Call a tool that is expected to return, and return what it did."""
        [outcome] = self.outcomes((tool, arguments))
        assert isinstance(outcome, ToolResult), outcome
        return msgspec.json.decode(outcome.output)

    def failure(self, tool: str, **arguments: Any) -> ToolFailure:
        """Call a tool that is expected to be refused, and return why it was."""
        [outcome] = self.outcomes((tool, arguments))
        assert isinstance(outcome, ToolFailure), outcome
        assert SECRET not in repr(outcome)
        return outcome

    def code(self, tool: str, **arguments: Any) -> str:
        """Call a tool that is expected to be refused, and return the code."""
        return self.failure(tool, **arguments).code


def names_in(directory: Path) -> list[str]:
    """Return what is in a directory, by name."""
    return sorted(path.name for path in directory.iterdir())
