"""A task and the place in a file that it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from appliance.language.model import Task
from appliance.language.sections import Section


class Placed(NamedTuple):
    """A task and where it stands. `members` are the tasks inside of it; a collection's child is first.

    `partial` says that its type is not known or not available, so that not all of it was read.
    """

    task: Task
    section: Section
    members: tuple[Placed, ...] = ()
    partial: bool = False


def all_tasks(scope: Iterable[Placed]) -> Iterator[Placed]:
    """Go over tasks and the tasks inside of them."""
    for placed in scope:
        yield placed
        yield from all_tasks(placed.members)
