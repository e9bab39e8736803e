"""Progress of a run: a live tree on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from appliance.cli.client import Client, segment
from appliance.cli.output import plain
from appliance.engine.status import FAILURES, TERMINAL

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

_FIRST_POLL = 0.05
_LAST_POLL = 0.5
_STYLES = {"SUCCESS": "green", "RUNNING": "cyan", "WAITING": "yellow", "CANCELED": "yellow"}

State = dict[str, Any]


class Display(Protocol):
    """Shows the state of a run, again and again."""

    def __call__(self, state: State, /) -> None:
        """Show what is new."""


async def follow(client: Client, exec_id: str, display: Display) -> State:
    """Show a run until it has ended and return its last state. Raises: what `Client.get` raises."""
    delay = _FIRST_POLL
    while True:
        state: State = await client.get(f"/executions/workflows/{segment(exec_id)}")
        display(state)
        if state["status"] in TERMINAL:
            return state
        await asyncio.sleep(delay)
        delay = min(delay * 1.5, _LAST_POLL)


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
