"""The way through a scope of tasks: ids, transitions, what is never reached, what goes in a circle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from appliance.language.placed import Placed
from appliance.language.suggestions import hint
from appliance.language.ways import Target, reach, targets

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


def check_flow(scope: Sequence[Placed], kind: str) -> None:
    """Check one list of tasks and the lists inside of it. *kind* is the type of what holds it.

    A workflow and a collection begin with the first task. In a parallel or composite every task
    begins by itself, except those that a sibling names: they run when they are named.
    """
    tasks = _by_id(scope, kind)
    ways = {name: list(_known(task, tasks)) for name, task in tasks.items()}
    named = {target for way in ways.values() for target, _ in way}
    starts = list(tasks)[:1]
    if kind in ("parallel", "composite"):
        starts = [name for name in tasks if name not in named]
    if not any(placed.partial for placed in scope):
        for name in tasks.keys() - reach(starts, ways) - named:
            message = f"task {name!r} is never reached; name it in 'next' of a task before it"
            tasks[name].section.error(message, "id")
    _check_circles(tasks, ways)
    for placed in scope:
        check_flow(placed.members, placed.task.type)


def _by_id(scope: Sequence[Placed], kind: str) -> dict[str, Placed]:
    tasks: dict[str, Placed] = {}
    for index, placed in enumerate(scope):
        name = placed.task.id
        _check_id(placed, repeated=kind == "collection" and index == 0)
        if name in tasks:
            line = tasks[name].section.line
            placed.section.error(f"the id {name!r} is taken by the task in line {line}", "id")
        elif name:
            tasks[name] = placed
    return tasks


def _check_id(placed: Placed, *, repeated: bool) -> None:
    name = placed.task.id
    if repeated:
        if "{{" not in name:
            placed.section.error(
                f"the id {name!r} would be the same for every item;"
                f" write for example '{name}-{{{{ .index }}}}'",
                "id",
            )
    elif "{{" in name:
        placed.section.error("only the task of a collection can have a template as its id", "id")
    elif name and not _ID.fullmatch(name):
        placed.section.error(f"the id {name[:40]!r} is not made of letters, digits, _ and -", "id")


def _known(placed: Placed, tasks: Mapping[str, Placed]) -> Iterator[Target]:
    """Go over the transitions that lead somewhere; note the others."""
    for target, fields in targets(placed.task):
        if target in tasks:
            yield target, fields
        elif target:
            written = fields if placed.section.has(fields[0]) else ("config", "on_error")
            placed.section.error(f"there is no task {target!r} here{hint(target, tasks)}", *written)


def _check_circles(tasks: Mapping[str, Placed], ways: Mapping[str, Sequence[Target]]) -> None:
    done: set[str] = set()
    for start in tasks:
        trail: list[str] = []
        todo: list[tuple[str, Iterator[Target]]] = []
        if start not in done:
            trail, todo = [start], [(start, iter(ways[start]))]
        while todo:
            name, following = todo[-1]
            target, fields = next(following, ("", ()))
            if not target:
                done.add(name)
                todo.pop()
                trail.pop()
            elif target in trail:
                circle = " -> ".join((*trail[trail.index(target) :], target))
                tasks[name].section.error(f"the tasks go in a circle: {circle}", *fields)
            elif target not in done:
                trail.append(target)
                todo.append((target, iter(ways[target])))
