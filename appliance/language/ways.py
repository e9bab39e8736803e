"""Where tasks lead: the transitions of a task, and what can be reached by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from appliance.language.model import Task, Transition
from appliance.language.placed import Placed

Target = tuple[str, tuple[str, ...]]
"""The id of the task that follows, and the fields that say so."""


def targets(task: Task) -> Iterator[Target]:
    """Go over the transitions of a task."""
    if task.on_success.next:
        yield task.on_success.next, ("on_success", "next")
    if task.on_error.next:
        yield task.on_error.next, ("on_error", "next")
    if task.on_timeout:
        yield task.on_timeout, ("on_timeout",)
    for result, target in task.routes.items():
        yield target, ("routes", result)


def reach(starts: Iterable[str], ways: Mapping[str, Sequence[Target]]) -> set[str]:
    """Return what the *ways* lead to from the *starts*, which are among it."""
    reached, todo = set(starts), list(starts)
    while todo:
        following = {target for target, _ in ways.get(todo.pop(), ())} - reached
        reached |= following
        todo += following
    return reached


def catch(scope: tuple[Placed, ...], handler: str | None) -> tuple[Placed, ...] | None:
    """Let failures lead to the task *handler* wherever a task of *scope* says nothing else.

    What the handler itself leads to is left as it is, or the tasks would go in a circle.
    None where *scope* has no such task.
    """
    ways = {placed.task.id: list(targets(placed.task)) for placed in scope}
    if handler not in ways:
        return None
    beyond = reach([handler], ways)
    to_handler = Transition(next=handler)
    return tuple(
        placed
        if placed.task.on_error.next or placed.task.id in beyond
        else placed._replace(task=msgspec.structs.replace(placed.task, on_error=to_handler))
        for placed in scope
    )
