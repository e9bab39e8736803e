"""Progress of a run: a live tree on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext, suppress
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from appliance import clock
from appliance.cli.client import Client, segment
from appliance.cli.output import plain
from appliance.engine.status import FAILURES, TERMINAL
from appliance.errors import DeadlineExceeded, TooManyRequests, Unavailable

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

_FIRST_POLL = 0.05
_LAST_POLL = 0.5
_TOGETHER = 0.05
"""Seconds in which changes are shown together."""
_COME_BACK = 1.0
_PATIENCE = 60.0
"""Seconds for which a server may be away."""
_STYLES = {"SUCCESS": "green", "RUNNING": "cyan", "WAITING": "yellow", "CANCELED": "yellow"}

State = dict[str, Any]


class Display(Protocol):
    """Shows the state of a run, again and again."""

    def __call__(self, state: State, /) -> None:
        """Show what is new."""


async def follow(client: Client, exec_id: str, display: Display) -> State:
    """Show a run until it has ended and return its last state.

    A server that is away for a while, for a restart, is waited for. Raises: what `Client.get` raises.
    """
    path = f"/executions/workflows/{segment(exec_id)}"
    state: State = await client.get(path)
    changes = _polls() if client.in_process else _changes(client, path)
    async with aclosing(changes):
        while True:
            display(state)
            if state["status"] in TERMINAL:
                return state
            await anext(changes)
            with suppress(Unavailable, DeadlineExceeded):  # whoever tells of changes knows better
                state = await client.get(path)


async def _polls() -> AsyncGenerator[None, None]:
    """Yield now and then: in one process there is nobody to tell of changes."""
    delay = _FIRST_POLL
    while True:
        await asyncio.sleep(delay)
        delay = min(delay * 1.5, _LAST_POLL)
        yield


async def _changes(client: Client, path: str) -> AsyncGenerator[None, None]:
    """Yield whenever something happened in a run. Raises what stays wrong for `_PATIENCE`."""
    news = asyncio.Event()
    listening = asyncio.create_task(_listen(client, f"{path}/stream", news))
    listening.add_done_callback(lambda _: news.set())
    try:
        while True:
            await news.wait()
            news.clear()
            if listening.done():
                listening.result()
            yield
            await asyncio.sleep(_TOGETHER)
    finally:
        listening.cancel()


async def _listen(client: Client, path: str, news: asyncio.Event) -> None:
    """Set *news* with every event, and come back whenever the stream ends."""
    last, heard_at = "", clock.monotonic()
    while True:
        try:
            async for event_id in client.event_ids(path, last):
                last = event_id
                heard_at = clock.monotonic()
                news.set()
            heard_at = clock.monotonic()
        except (Unavailable, DeadlineExceeded, TooManyRequests):
            if clock.monotonic() - heard_at > _PATIENCE:
                raise
        news.set()
        await asyncio.sleep(_COME_BACK)


def displayed(stream: IO[str], *, only_terminal: bool = False) -> AbstractContextManager[Display]:
    """Return what fits the stream: a tree where it is a terminal, else lines, or nothing."""
    if stream.isatty():
        return _tree(stream)
    return nullcontext(lambda _state: None) if only_terminal else _lines(stream)


def walk(tasks: dict[str, State], prefix: str = "") -> Iterator[tuple[str, State]]:
    """Go through a tree of tasks, parents first; names are paths such as `group/child`."""
    for name, task in tasks.items():
        path = f"{prefix}{name}"
        yield path, task
        yield from walk(task["children"], f"{path}/")


def failure(state: State) -> str | None:
    """Return the sentence of a run that ended without success, None when it succeeded."""
    if state["status"] == "SUCCESS":
        return None
    error = state["error"] or {}
    reason = f": {error['message']}" if error.get("message") else "."
    return f"run {state['workflow_exec_id']} ended {state['status']}{reason}"


@contextmanager
def _lines(stream: IO[str]) -> Iterator[Display]:
    seen: dict[str, str] = {}

    def show(state: State) -> None:
        tasks = [(path, _words(task)) for path, task in walk(state["tasks"])]
        for name, words in [*tasks, (state["workflow_id"], state["status"])]:
            if seen.get(name) != words:
                seen[name] = words
                click.echo(plain(f"{name} {words}"), file=stream)

    yield show


@contextmanager
def _tree(stream: IO[str]) -> Iterator[Display]:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(file=stream), auto_refresh=False) as live:
        yield lambda state: live.update(_drawn(state), refresh=True)


def _drawn(state: State) -> Tree:
    from rich.tree import Tree

    name = f"{state['workflow_id']} {state['workflow_exec_id']}"
    tree = Tree(_label(name, state["status"], state["status"]))
    _grow(tree, state["tasks"])
    return tree


def _grow(tree: Tree, tasks: dict[str, State]) -> None:
    for name, task in tasks.items():
        _grow(tree.add(_label(name, task["status"], _words(task))), task["children"])


def _label(name: str, status: str, words: str) -> Text:
    from rich.text import Text

    style = "red" if status in FAILURES else _STYLES.get(status, "dim")
    return Text.assemble(plain(name), " ", (plain(words), style))


def _words(task: State) -> str:
    words = [task["status"]]
    if task["attempt"] > 1:
        words.append(f"(attempt {task['attempt']})")
    if task["error"]:
        words.append(str(task["error"].get("message", "")))
    return " ".join(words)
