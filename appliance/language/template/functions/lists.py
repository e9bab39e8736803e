"""Lists: sprig's functions never change a list, they answer with a new one."""

from __future__ import annotations

from typing import Any

from appliance.language.template.errors import Fault
from appliance.language.template.functions.signature import (
    anything,
    f,
    items,
    number,
    with_must,
)
from appliance.language.template.limits import Run
from appliance.language.template.values import is_list, kind, same


def _end(position: int) -> Any:
    def pick(values: Any) -> Any:
        if not is_list(values):
            raise Fault(f"needs a list, not {kind(values)}")
        return values[position] if len(values) else None

    return f(pick, anything)


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
    "rest": f(lambda values: list(values[1:]), items),
    "initial": f(lambda values: list(values[:-1]), items),
    "append": f(lambda values, value: [*values, value], items, anything),
    "push": f(lambda values, value: [*values, value], items, anything),
    "prepend": f(lambda values, value: [value, *values], items, anything),
    "reverse": f(lambda values: list(values)[::-1], items),
    "uniq": f(_unique, items, run=True),
    "without": f(_without, items, rest=anything, run=True),
    "has": f(_contains, anything, items, run=True),
    "compact": f(lambda values: [value for value in values if value], items),
    "chunk": f(_chunks, number, items),
}
TABLE = {
    **with_must(_ORDINARY),
    "list": f(lambda *values: list(values), rest=anything),
    "tuple": f(lambda *values: list(values), rest=anything),
    "concat": f(lambda *lists: [value for values in lists for value in values], rest=items),
}
