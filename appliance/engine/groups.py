"""How tasks with children go on and end: parallel, collection and composite.

A group starts *chains*: a member and whatever its transitions lead to. All three types are one rule
with other numbers: a composite runs one chain at a time and stops at the first failure; a collection
has a chain for each item; a parallel has one for each member.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from appliance.engine import context
from appliance.engine.program import Node
from appliance.engine.run import TaskState
from appliance.engine.status import FAILURES, Status
from appliance.errors import InvalidInput
from appliance.language import template
from appliance.language.model import Json

MAX_ITEMS = 100_000
RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})|([A-Za-z])\.\.([A-Za-z])")
DROPPED = frozenset({"", "false", "no", "0", "off"})
"""Texts of a `filter` that leave an item out; every other text keeps it."""


def expected_chains(group: TaskState) -> int:
    """Return how many chains the group has in all."""
    if group.node.type == "collection":
        return len(group.input["items"])
    return len(group.node.sequence)


def chain_limit(node: Node) -> int:
    """Return how many chains may be open at once; 0 = no bound."""
    task = node.task
    if node.type == "composite" or (node.type == "collection" and task.mode == "sequential"):
        return 1
    bounds = [bound for bound in (task.batch, task.max_workers) if bound > 0]
    return min(bounds, default=0)


def verdict(group: TaskState) -> Status | None:
    """Return how the group ends, or None while it goes on."""
    success, failed = group.tally["success"], group.tally["failed"]
    strategy = "fail_fast" if group.node.type == "composite" else group.node.task.strategy
    if strategy == "race" and success:
        return "SUCCESS"
    if strategy == "fail_fast" and failed:
        return "FAILED"
    if success + failed < expected_chains(group):
        return None
    if strategy in ("race", "best_effort"):
        return "FAILED" if failed and not success else "SUCCESS"
    return "FAILED" if failed else "SUCCESS"


def outputs_of(group: TaskState) -> dict[str, Json]:
    """Return the outputs of the children by id."""
    return {child.task_id: child.output for child in group.children}


def output_of(group: TaskState) -> dict[str, Json]:
    """Return the output of a group that has no `outputs` of its own."""
    output: dict[str, Json] = {
        "outputs": outputs_of(group),
        "progress_info": context.progress(group),
    }
    task = group.node.task
    if group.node.type == "parallel":
        output["parallel_metadata"] = {
            "child_count": len(group.node.sequence),
            "strategy": task.strategy,
            "max_workers": task.max_workers,
        }
    elif group.node.type == "collection":
        output["item_count"] = len(group.input["items"])
        output["skipped_count"] = group.input["skipped_count"]
    return output


def failure_of(group: TaskState) -> dict[str, Any]:
    """Return the error of a group whose chains failed, told by the first of them."""
    last = {child.position: child for child in group.children}
    failed = [child for child in last.values() if child.status in FAILURES]
    first = failed[0]
    assert first.error is not None
    return {
        "code": "CHILD_FAILED",
        "message": f"task {first.task_id} failed: {first.error['message']}",
        "details": {"failed": [child.task_id for child in failed[:20]], "cause": first.error},
    }


def collection_input(group: TaskState, environment: template.Environment) -> dict[str, Json]:
    """Return the items of a collection with those left out that its `filter` drops.

    Raises InvalidInput when there are more than `MAX_ITEMS`.
    """
    assert group.node.items is not None
    items = as_items(group.node.items.render(context.of_task(group), environment))
    if len(items) > MAX_ITEMS:
        msg = f"the collection has {len(items)} items, more than {MAX_ITEMS}; split it"
        raise InvalidInput(msg)
    kept = [item for index, item in enumerate(items) if _kept(group, item, index, environment)]
    return {**group.input, "items": kept, "skipped_count": len(items) - len(kept)}


def _kept(group: TaskState, item: Json, index: int, environment: template.Environment) -> bool:
    if group.node.filter is None:
        return True
    text = group.node.filter.text(context.of_candidate(group, item, index), environment)
    return text.strip().lower() not in DROPPED


def as_items(value: Json) -> list[Json]:
    """Return what a collection goes over.

    That is a list as it is, a mapping as {key, value} by key, the text of a JSON list or mapping, a
    range `1..5` or `a..e` in either direction, or a single item; null is no item.
    """
    if isinstance(value, str):
        value = _structured(value)
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [{"key": key, "value": value[key]} for key in sorted(value)]
    return [] if value is None else [value]


def _structured(text: str) -> Json:
    found = RANGE.fullmatch(text.strip())
    if found is not None:
        return _range(*found.groups())
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, (list, dict)) else text


def _range(first: str, last: str, start: str, end: str) -> list[Json]:
    if start:
        return [chr(code) for code in _between(ord(start), ord(end))]
    return [*_between(int(first), int(last))]


def _between(start: int, end: int) -> range:
    """Return the numbers from *start* to *end*. Raises InvalidInput beyond `MAX_ITEMS`."""
    if abs(end - start) >= MAX_ITEMS:
        msg = f"the range {start}..{end} has more than {MAX_ITEMS} items; split it"
        raise InvalidInput(msg)
    return range(start, end + 1) if start <= end else range(start, end - 1, -1)


def child_id(group: TaskState, environment: template.Environment) -> str:
    """Return the id of the collection's next child.

    Raises InvalidInput when it is empty, too long, not printable, or taken by another item.
    """
    position = group.next_position
    item = group.input["items"][position]
    node = group.node.sequence[0]
    variables = context.of_candidate(group, item, position)
    name = node.id_template.text(variables, environment).strip()
    if not 0 < len(name) <= 255 or not name.isprintable():
        msg = f"item {position} has the id {name[:40]!r}; an id has 1 to 255 printable characters"
        raise InvalidInput(msg)
    taken = group.run.by_id.get(name)
    if taken is not None and taken.parent is group:
        msg = f"items {taken.position} and {position} both have the id {name!r}; use `.index` in it"
        raise InvalidInput(msg)
    return name
