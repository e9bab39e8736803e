"""The values of a template: what JSON can say, and moments. Looks at them; never at attributes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from appliance.language.template import layouts
from appliance.language.template.errors import Fault
from appliance.language.template.limits import ITEM, VALUE, Run

NO_VALUE = "<no value>"
_KINDS = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "text"}
_HALVES = re.compile(
    r"(\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\[^u])|\\u[dD][89a-fA-F]\w\w", re.DOTALL
)
"""Escapes of JSON: pairs and what stands for itself, to be kept, or halves of a character."""
SCALARS = {type(None), bool, int, float}
_GO_TYPES = {type(None): "<nil>", bool: "bool", int: "int", float: "float64", str: "string"}


def without_halves(source: str) -> str:
    """Put U+FFFD in the place of halves of characters in JSON, as Go does: nothing can store them."""
    return _HALVES.sub(lambda found: found[1] or r"\ufffd", source) if "\\u" in source else source


def is_map(value: Any) -> bool:
    """Tell whether *value* has keys."""
    return isinstance(value, (dict, Mapping))


def is_list(value: Any) -> bool:
    """Tell whether *value* has items."""
    return isinstance(value, (list, tuple)) or (
        isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
    )


def is_number(value: Any) -> bool:
    """Tell whether *value* is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """Name the kind of *value* for a message: "text", "a number", "a list" ..."""
    name = _KINDS.get(type(value))
    if name:
        return name
    return "a moment" if isinstance(value, datetime) else "a map" if is_map(value) else "a list"


def go_type(value: Any) -> str:
    """Name the type of *value* as `%T` does in Go."""
    name = _GO_TYPES.get(type(value))
    if name:
        return name
    if isinstance(value, datetime):
        return "time.Time"
    return "map[string]interface {}" if is_map(value) else "[]interface {}"


def show(value: Any, run: Run, missing: str = "<nil>") -> str:
    """Return *value* as Go prints it with `%v`; *missing* stands for null."""
    if isinstance(value, str):
        run.spend(len(value))
        return value
    run.spend(VALUE)
    if value is None:
        return missing
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return show_float(value)
    if isinstance(value, datetime):
        return layouts.write(layouts.GO_TEXT, value)
    if is_map(value):
        run.spend(ITEM * len(value))
        return "map[" + " ".join([f"{k}:{show(value[k], run)}" for k in sorted(value)]) + "]"
    if is_list(value):
        run.spend(ITEM * len(value))
        return "[" + " ".join([show(item, run) for item in value]) + "]"
    raise _foreign(value)


def _foreign(value: Any) -> Fault:
    return Fault(f"a value of type {type(value).__name__} is not JSON")


def show_float(value: float) -> str:
    """Return *value* as `%v` does in Go: the shortest digits, an exponent from a million on."""
    if not math.isfinite(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    digits = repr(value).partition("e")[0].strip("-").replace(".", "").strip("0") or "0"
    scientific = f"{value:.{len(digits) - 1}e}"
    exponent = int(scientific.partition("e")[2])
    if -5 < exponent < 6:
        return f"{value:.{max(len(digits) - 1 - exponent, 0)}f}"
    return scientific


def plain(value: Any, run: Run) -> Any:
    """Return a copy of *value* made of nothing but dict, list, str, int, float, bool and None."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, str):
        run.spend(len(value))
        return value
    if isinstance(value, datetime):
        return layouts.write(layouts.RFC3339, value)
    if is_map(value):
        run.spend(VALUE + ITEM * len(value))
        return {
            str(key): item if type(item) in SCALARS else plain(item, run)
            for key, item in value.items()
        }
    if is_list(value):
        run.spend(VALUE + ITEM * len(value))
        return [item if type(item) in SCALARS else plain(item, run) for item in value]
    raise _foreign(value)


def same(left: Any, right: Any, run: Run) -> bool:
    """Tell whether two values are deeply equal; 1 equals 1.0 but not true."""
    run.spend(VALUE)
    if isinstance(left, str) or isinstance(right, str) or left is None or right is None:
        return type(left) is type(right) and bool(left == right)
    if is_number(left) or isinstance(left, datetime):
        return (is_number(left) == is_number(right)) and bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_map(left):
        return (
            is_map(right)
            and len(left) == len(right)
            and all(key in right and same(left[key], right[key], run) for key in left)
        )
    return (
        is_list(right)
        and len(left) == len(right)
        and all(same(a, b, run) for a, b in zip(left, right, strict=True))
    )
