"""Lists: sprig's functions never change a list, they answer with a new one."""

from __future__ import annotations

from typing import Any

from appliance.language.template.errors import Fault
from appliance.language.template.functions.signature import (
    anything,
    items,
    number,
    row,
    with_must,
)
from appliance.language.template.limits import Run
from appliance.language.template.values import is_list, kind, same


def _end(position: int) -> Any:
    def pick(values: Any) -> Any:
        if not is_list(values):
            raise Fault(f"needs a list, not {kind(values)}")
        return values[position] if len(values) else None

    return row(pick, anything)


def _contains(run: Run, needle: Any, values: Any) -> bool:
    return any(same(needle, value, run) for value in values)


def _unique(run: Run, values: Any) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if not _contains(run, value, kept):
            kept.append(value)
    return kept


def _without(run: Run, values: Any, *omitted: Any) -> list[Any]:
    return [value for value in values if not _contains(run, value, omitted)]


def _chunks(size: int, values: Any) -> list[list[Any]]:
    if size < 1:
        raise Fault("a chunk needs at least 1 item")
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


_ORDINARY = {
    "first": _end(0),
    "last": _end(-1),
    "rest": row(lambda values: list(values[1:]), items),
    "initial": row(lambda values: list(values[:-1]), items),
    "append": row(lambda values, value: [*values, value], items, anything),
    "push": row(lambda values, value: [*values, value], items, anything),
    "prepend": row(lambda values, value: [value, *values], items, anything),
    "reverse": row(lambda values: list(values)[::-1], items),
    "uniq": row(_unique, items, run=True),
    "without": row(_without, items, rest=anything, run=True),
    "has": row(_contains, anything, items, run=True),
    "compact": row(lambda values: [value for value in values if value], items),
    "chunk": row(_chunks, number, items),
}
TABLE = {
    **with_must(_ORDINARY),
    "list": row(lambda *values: list(values), rest=anything),
    "tuple": row(lambda *values: list(values), rest=anything),
    "concat": row(lambda *lists: [value for values in lists for value in values], rest=items),
}
