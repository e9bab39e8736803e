"""Peers that are libraries: a program in the environment of the peer uses it, as a user's would.

The harness talks to it in lines of JSON: `["load", "ten", 16, 3.0]` is answered with a `Load`,
`["begin", 20, "/path/notes"]` with nothing. The first line that it says is how durable it is.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import select
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from benchmarks.peers import install, pins
from benchmarks.peers.load import Load, closed_loop
from benchmarks.peers.peer import ROOT, STAY_S, WORKERS, Peer

ANSWER_LIMIT_S = 180


class Library(Peer):
    """A peer whose module, run as a program with one argument, serves the harness."""

    environment: ClassVar[str]  # the name of its environment and of its module
    variables: Mapping[str, str] = MappingProxyType({})  # of its environment
    _process: subprocess.Popen[bytes]
    _durability: str

    def load(self, flow: str, in_flight: int, seconds: float) -> Load:
        """See `Peer.load`."""
        return Load(*self._ask("load", flow, in_flight, seconds))

    def begin(self, count: int, notes: Path) -> None:
        """See `Peer.begin`."""
        self._ask("begin", count, str(notes))

    def durability(self) -> str:
        """See `Peer.durability`."""
        return self._durability

    @abstractmethod
    def _where(self) -> str:
        """Return what its program is told of the database."""

    def _install(self) -> str:
        self._python = install.python(self.scratch, self.environment)
        return pins.PYTHON[self.environment][0].partition("==")[2]

    def start(self) -> None:
        """See `Peer.start`."""
        command = [self._python, "-P", "-m", f"benchmarks.peers.{self.environment}", self._where()]
        self._process = self._run(command, {"PYTHONPATH": str(ROOT), **self.variables}, talks=True)
        self._durability = str(self._answer())

    def _ask(self, *message: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER_LIMIT_S)[0]:
            raise TimeoutError(f"its program said nothing for {ANSWER_LIMIT_S} s")
        line = self._process.stdout.readline()
        if not line:
            said = (self.home / "log").read_text(errors="replace").strip().splitlines()
            raise ConnectionError(f"its program ended: {said[-1] if said else 'without a word'}")
        return json.loads(line)


def serve(
    durability: str,
    load: Callable[[str, int, float], Load],
    begin: Callable[[int, str], object],
) -> None:
    """Do what the harness says until it goes away. Whatever else prints, prints to the log."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps(durability), file=answers)
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        print(json.dumps(load(*arguments) if verb == "load" else begin(*arguments)), file=answers)
    os._exit(0)


async def serve_async(
    worker: Awaitable[None],
    run: Callable[[str], Awaitable[object]],
    begin: Callable[[int, str], Coroutine[Any, Any, None]],
) -> None:
    """Do the same beside *worker* in one event loop; *run* is one run of a flow."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(WORKERS + 1))  # for steps that are not async

    def load(flow: str, in_flight: int, seconds: float) -> Load:
        callers = [functools.partial(run, flow)] * in_flight
        return asyncio.run_coroutine_threadsafe(closed_loop(callers, seconds), loop).result()

    def starting(count: int, notes: str) -> None:
        asyncio.run_coroutine_threadsafe(begin(count, notes), loop).result()

    await asyncio.gather(worker, asyncio.to_thread(serve, "", load, starting))


def pragmas(execute: Callable[[str], Any]) -> str:
    """Say how durable the SQLite connection is that *execute* belongs to."""
    names = ("journal_mode", "synchronous")
    return ", ".join(f"{name}={execute(f'PRAGMA {name}').fetchone()[0]}" for name in names)


def flows_of(
    noop: Callable[[int], Any], rest: Callable[..., Any], end: Callable[..., Any]
) -> dict[str, Callable[..., Any]]:
    """Return the three flows by name, made of steps as the peer has them."""

    def one(n: int) -> Any:
        return noop(n)

    def ten(n: int) -> Any:
        for _ in range(10):
            n = noop(n)
        return n

    def staying(n: int, notes: str) -> Any:
        return end(rest(noop(n), notes), notes)

    return {flow.__name__: flow for flow in (one, ten, staying)}


def step(n: int) -> int:
    """Return what was given: the step of the flows `one` and `ten`."""
    return n


def stay(n: int, notes: str) -> int:
    """Note that run *n* has begun and take a while."""
    note(f"begin {n}", notes)
    time.sleep(STAY_S)
    return n


def leave(n: int, notes: str) -> int:
    """Note that run *n* has ended."""
    note(f"end {n}", notes)
    return n


def note(text: str, notes: str) -> None:
    """Add one line to *notes*, at once or not at all."""
    with Path(notes).open("a") as file:
        file.write(f"{text}\n")
