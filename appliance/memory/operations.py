"""The operations of a memory: what each does to a shelf, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from appliance import clock
from appliance.errors import InvalidInput
from appliance.language.model import Json
from appliance.memory import flushing
from appliance.memory.flushing import Weight
from appliance.memory.messages import Entry
from appliance.memory.order import Order, check_key
from appliance.memory.shelf import Shelf

Answer = dict[str, Json]
Reading = Callable[[Shelf, Order], Answer]
Changing = Callable[[Shelf, Order, Sequence[Entry]], Answer]

CONTENT = 100
"""Messages that statistics show when nobody says how many."""


def read(shelf: Shelf, order: Order) -> Answer:
    """Return messages, oldest first. `total_count` is said where only a part was asked for."""
    limit, offset = order.part(shelf.count)
    messages = shelf.read(limit, offset)
    answer: Answer = {"messages": messages, "count": len(messages), "key": order.key}
    return answer if order.limit is None else {**answer, "total_count": shelf.count}


def health(shelf: Shelf, order: Order) -> Answer:
    """Tell whether the key can be read and written. A buffer that is full cannot."""
    limits = shelf.definition.limits
    healthy = limits.trims or limits.fill(shelf.count, shelf.tokens) < 1
    more = {"current_tokens": shelf.tokens} if order.include_stats else {}
    return {"healthy": healthy, **_counts(shelf), **more}


def stats(shelf: Shelf, order: Order) -> Answer:
    """Return what stands under the key in numbers; with content and groups where asked for.

    Raises: InvalidInput for a group that there is not.
    """
    if order.group_by not in ("", "role"):
        raise InvalidInput(f"group_by is {order.group_by!r}; messages can be grouped by role only.")
    answer: Answer = _counts(shelf)
    if shelf.count:
        answer["avg_tokens_per_message"] = shelf.tokens / shelf.count
    if order.group_by == "role":
        answer["groups"] = shelf.by_role()
    if order.include_content:
        size = order.limit or order.batch_size or CONTENT
        offset = order.offset if order.limit else max(0, shelf.count - size)
        answer["messages"] = shelf.read(size, offset)
    return answer


def write(shelf: Shelf, order: Order, entries: Sequence[Entry]) -> Answer:
    """Put messages in the place of what is there. Raises Conflict for a full buffer."""
    shelf.replace(entries)
    return {"success": True, "count": shelf.count, "key": order.key}


def append(shelf: Shelf, order: Order, entries: Sequence[Entry]) -> Answer:
    """Add messages. Raises Conflict for a full buffer."""
    shelf.append(entries)
    return {
        "success": True,
        "appended": len(entries),
        "total_count": shelf.count,
        "key": order.key,
    }


def delete(shelf: Shelf, order: Order, _entries: Sequence[Entry]) -> Answer:
    """Remove a key. Removing what is not there is a success: it is gone."""
    shelf.remove()
    return {"success": True, "key": order.key}


def flush(shelf: Shelf, order: Order, _entries: Sequence[Entry]) -> Answer:
    """Make room under the key, if it is as full as the threshold says."""
    if gone := _surplus(shelf, order):
        shelf.flush(gone)
    return _flushed(shelf, order)


def rehearse_flush(shelf: Shelf, order: Order) -> Answer:
    """Tell whether a flush would remove something."""
    return {**_flushed(shelf, order), "dry_run": True, "would_flush": bool(_surplus(shelf, order))}


def clear(shelf: Shelf, order: Order, _entries: Sequence[Entry]) -> Answer:
    """Remove every message, and keep a copy under another key where asked for.

    Raises: InvalidInput unless it is confirmed, or when the key is too long for that of a copy.
    """
    if not order.confirm:
        raise InvalidInput("clear removes every message; say `confirm: true` if it is meant.")
    cleared = shelf.count
    answer: Answer = {"success": True, "key": order.key, "messages_cleared": cleared}
    backup = f"{order.key}.backup.{clock.to_rfc3339(shelf.now)}"
    if order.backup and cleared:
        check_key(backup)
        shelf.copy(backup)
    shelf.remove()
    made = order.backup and cleared > 0
    return {**answer, "backup_created": made, **({"backup_key": backup} if made else {})}


READING: Mapping[str, Reading] = {
    "read": read,
    "health": health,
    "stats": stats,
}
CHANGING: Mapping[str, Changing] = {
    "write": write,
    "append": append,
    "delete": delete,
    "flush": flush,
    "clear": clear,
}


def _counts(shelf: Shelf) -> Answer:
    answer: Answer = {
        "key": shelf.key,
        "message_count": shelf.count,
        "token_count": shelf.tokens,
        "actual_strategy": flushing.actual(shelf.definition.memory.flushing),
    }
    if shelf.flushed_at is not None:
        answer["last_flush"] = clock.to_rfc3339(shelf.flushed_at)
    return answer


def _surplus(shelf: Shelf, order: Order) -> list[Weight]:
    """Return the messages that a flush removes now."""
    memory, limits = shelf.definition.memory, shelf.definition.limits
    threshold = memory.flush_threshold if order.threshold is None else order.threshold
    if not order.force and limits.fill(shelf.count, shelf.tokens) < threshold:
        return []
    return flushing.chosen(
        flushing.actual(order.strategy or memory.flushing),
        shelf.weights(),
        by_tokens=limits.by_tokens,
        most=order.max_keys,
    )


def _flushed(shelf: Shelf, order: Order) -> Answer:
    return {
        "success": True,
        "key": order.key,
        "summary_generated": False,
        "message_count": shelf.count,
        "token_count": shelf.tokens,
        "actual_strategy": flushing.actual(order.strategy or shelf.definition.memory.flushing),
    }
