"""Comparison, choice, indexing, printing and types: Go's own functions and sprig's smallest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from appliance.language.template import printing
from appliance.language.template.errors import Fault
from appliance.language.template.functions.signature import (
    anything,
    boolean,
    lookup,
    number,
    printed,
    row,
    text,
)
from appliance.language.template.limits import ITEM, Run
from appliance.language.template.values import go_type, is_list, is_map, is_number, kind, same

_GO_KINDS = {"<nil>": "invalid", "time.Time": "struct"}


def _comparable(value: Any) -> type | None:
    """Return the class of values that *value* can be compared with; None for null."""
    if value is None or isinstance(value, (bool, str, datetime)):
        return None if value is None else type(value)
    if is_number(value):
        return float
    raise Fault(f"cannot compare {kind(value)}; deepEqual can")


def _equal(left: Any, *others: Any) -> bool:
    mine = _comparable(left)
    for other in others:
        theirs = _comparable(other)
        if mine and theirs and mine is not theirs:
            raise Fault(f"cannot compare {kind(left)} with {kind(other)}; convert one of them")
        if mine is theirs and left == other:
            return True
    return False


def _less(left: Any, right: Any) -> bool:
    mine, theirs = _comparable(left), _comparable(right)
    if mine is not theirs or mine in (None, bool):
        raise Fault(f"cannot order {kind(left)} and {kind(right)}")
    return bool(left < right)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(_key(key)) if is_map(value) else value[_position(value, key)]
    return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise Fault(f"the key of a map is text, not {kind(key)}")
    return key


def _position(value: Any, key: Any) -> int:
    if not is_list(value):
        raise Fault(f"cannot index {kind(value)}")
    if not isinstance(key, int) or isinstance(key, bool):
        raise Fault(f"a list needs a whole number as index, not {kind(key)}")
    if not 0 <= key < len(value):
        raise Fault(f"index {key} is outside of a list of {len(value)}")
    return key


def _slice(run: Run, value: Any, *bounds: int) -> Any:
    """Return `value[n:m]` of a list or text."""
    if not isinstance(value, str) and not is_list(value):
        raise Fault(f"needs a list or text, not {kind(value)}")
    start, end = (*bounds, *(0, len(value))[len(bounds) :])
    if not 0 <= start <= end <= len(value):
        raise Fault(f"{start}:{end} is outside of a length of {len(value)}")
    run.spend((end - start) * ITEM)
    return value[start:end] if isinstance(value, str) else list(value[start:end])


def _length(value: Any) -> int:
    if isinstance(value, str) or is_list(value) or is_map(value):
        return len(value)
    raise Fault(f"{kind(value)} has no length")


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value), None)


def _kind_of(value: Any) -> str:
    name = go_type(value)
    return _GO_KINDS.get(name, name.partition("[")[0] or "slice")


def _fail(message: str) -> None:
    raise Fault(message)


def _dig(run: Run, *path: Any) -> Any:
    *keys, default, value = path
    for key in keys:
        if _key(key) not in lookup(run, value):
            return default
        value = value[key]
    return value


TABLE = {
    "not": row(lambda value: not value, anything),
    "eq": row(_equal, anything, anything, rest=anything),
    "ne": row(lambda left, right: not _equal(left, right), anything, anything),
    "lt": row(_less, anything, anything),
    "le": row(lambda left, right: _less(left, right) or left == right, anything, anything),
    "gt": row(lambda left, right: _less(right, left), anything, anything),
    "ge": row(lambda left, right: _less(right, left) or left == right, anything, anything),
    "index": row(_index, anything, rest=anything),
    "slice": row(_slice, anything, number, number, optional=2, run=True),
    "len": row(_length, anything),
    "print": row(printing.sprint, rest=anything, run=True),
    "println": row(printing.sprintln, rest=anything, run=True),
    "printf": row(printing.sprintf, text, rest=anything, run=True),
    # choice
    "default": row(lambda default, value=None: value or default, anything, anything, optional=1),
    "empty": row(lambda value: not value, anything),
    "coalesce": row(_coalesce, rest=anything),
    "all": row(lambda *values: all(values), rest=anything),
    "any": row(lambda *values: any(values), rest=anything),
    "ternary": row(lambda yes, no, test: yes if test else no, anything, anything, boolean),
    "fail": row(_fail, printed),
    "dig": row(_dig, text, anything, anything, rest=anything, run=True),
    # types
    "typeOf": row(go_type, anything),
    "typeIs": row(lambda name, value: name == go_type(value), text, anything),
    "typeIsLike": row(lambda name, value: name.lstrip("*") == go_type(value), text, anything),
    "kindOf": row(_kind_of, anything),
    "kindIs": row(lambda name, value: name == _kind_of(value), text, anything),
    "deepEqual": row(lambda run, left, right: same(left, right, run), anything, anything, run=True),
}
TABLE["mustSlice"] = TABLE["slice"]
