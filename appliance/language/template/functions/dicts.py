"""Maps: the ones a template made can be changed; those that came from outside are copied first."""

from __future__ import annotations

from typing import Any

from appliance.language.template.errors import Fault
from appliance.language.template.functions.signature import (
    anything,
    lookup,
    mapping,
    row,
    text,
    with_must,
)
from appliance.language.template.limits import VALUE, Run
from appliance.language.template.values import is_list, is_map, kind


class Own(dict[str, Any]):
    """A map that this render made: changing it changes nothing but this render."""


def _own(run: Run, value: Any) -> Own:
    return value if isinstance(value, Own) else Own(mapping(run, value))


def _dict(*pairs: Any) -> Own:
    """Pair up keys and values; a key without a value gets empty text."""
    made = Own()
    for place in range(0, len(pairs), 2):
        if not isinstance(pairs[place], str):
            raise Fault(f"a key must be text, not {kind(pairs[place])}")
        made[pairs[place]] = pairs[place + 1] if place + 1 < len(pairs) else ""
    return made


def _set(run: Run, target: Any, key: str, value: Any) -> Own:
    own = _own(run, target)
    own[key] = value
    return own


def _unset(run: Run, target: Any, key: str) -> Own:
    own = _own(run, target)
    own.pop(key, None)
    return own


def _pluck(key: str, *maps: Any) -> list[Any]:
    return [each[key] for each in maps if key in each]


def _pick(source: Any, *keys: str) -> Own:
    return Own({key: source[key] for key in keys if key in source})


def _omit(source: Any, *keys: str) -> Own:
    return Own({key: source[key] for key in source if key not in keys})


def _merge(run: Run, target: Any, *sources: Any, overwrite: bool = False) -> Own:
    """Merge *sources* into *target*, maps inside maps too.

    What *target* has and is not empty stays, unless *overwrite*.
    """
    own = _own(run, target)
    for source in sources:
        for key in source:
            run.spend(VALUE)
            mine, theirs = own.get(key), source[key]
            if is_map(mine) and is_map(theirs):
                own[key] = _merge(run, mine, theirs, overwrite=overwrite)
            elif overwrite or not mine:
                own[key] = theirs
    return own


def _merge_overwrite(run: Run, target: Any, *sources: Any) -> Own:
    return _merge(run, target, *sources, overwrite=True)


def _copy(run: Run, value: Any) -> Any:
    run.spend(VALUE)
    if is_map(value):
        return Own({key: _copy(run, value[key]) for key in value})
    return [_copy(run, item) for item in value] if is_list(value) else value


_ORDINARY = {
    "merge": row(_merge, lookup, rest=mapping, run=True),
    "mergeOverwrite": row(_merge_overwrite, lookup, rest=mapping, run=True),
    "deepCopy": row(_copy, anything, run=True),
}
TABLE = {
    **with_must(_ORDINARY),
    "dict": row(_dict, rest=anything),
    "get": row(lambda source, key: source.get(key, ""), lookup, text),
    "set": row(_set, lookup, text, anything, run=True),
    "unset": row(_unset, lookup, text, run=True),
    "hasKey": row(lambda source, key: key in source, lookup, text),
    "pluck": row(_pluck, text, rest=lookup),
    "keys": row(lambda *maps: [key for each in maps for key in sorted(each)], rest=mapping),
    "values": row(lambda source: [source[key] for key in sorted(source)], mapping),
    "pick": row(_pick, lookup, rest=text),
    "omit": row(_omit, mapping, rest=text),
}
