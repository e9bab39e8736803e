"""What a template function takes: each argument is checked and paid for before the call."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from appliance.language.template.errors import Fault
from appliance.language.template.limits import ITEM, Run
from appliance.language.template.literals import INT64
from appliance.language.template.values import is_list, is_map, kind, show

Converter = Callable[[Run, Any], Any]
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")
_SCAN = 15
"""Units of a character that Python reads rather than C."""


class Function(NamedTuple):
    """A function of the language. `takes` and `rest` convert its arguments, in order.

    The last `optional` of `takes` may be left out. With `run` the render itself comes first.
    """

    call: Callable[..., Any]
    takes: tuple[Converter, ...]
    rest: Converter | None
    optional: int
    run: bool

    def converters(self, count: int) -> tuple[Converter, ...]:
        """Return one converter for each of *count* arguments; raises Fault when none fits."""
        least, most = len(self.takes) - self.optional, len(self.takes)
        if count < least or (count > most and not self.rest):
            exact = least if least == most else f"{least} to {most}"
            wanted = f"at least {least}" if self.rest else exact
            raise Fault(f"takes {wanted} arguments, not {count}")
        return (*self.takes, *[self.rest or anything] * (count - most))[:count]


def row(
    call: Callable[..., Any],
    *takes: Converter,
    rest: Converter | None = None,
    optional: int = 0,
    run: bool = False,
) -> Function:
    """Write one row of a function table."""
    return Function(call, takes, rest, optional, run)


def with_must(table: dict[str, Function]) -> dict[str, Function]:
    """Return *table* with every function under its `must...` name too: both fail loudly."""
    return table | {f"must{name[0].upper()}{name[1:]}": each for name, each in table.items()}


def anything(_run: Run, value: Any) -> Any:
    """Accept every value as it is."""
    return value


def text(run: Run, value: Any) -> str:
    """Accept text."""
    if not isinstance(value, str):
        raise Fault(f"needs text, not {kind(value)}")
    run.spend(len(value))
    return value


def scanned(run: Run, value: Any) -> str:
    """Accept text that will be read character by character, at the speed of Python."""
    run.spend(_SCAN * len(text(run, value)))
    return str(value)


def printed(run: Run, value: Any) -> str:
    """Accept every value in its printed form."""
    return show(value, run)


def boolean(_run: Run, value: Any) -> bool:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise Fault(f"needs true or false, not {kind(value)}")
    return value


def items(run: Run, value: Any) -> Any:
    """Accept a list that will be read from end to end; null is an empty one."""
    if value is None:
        return []
    if not is_list(value):
        raise Fault(f"needs a list, not {kind(value)}")
    run.spend(len(value) * ITEM)
    return value


def mapping(run: Run, value: Any) -> Any:
    """Accept a map that will be read from end to end."""
    run.spend(len(lookup(run, value)) * ITEM)
    return value


def lookup(_run: Run, value: Any) -> Any:
    """Accept a map in which a few keys will be looked up."""
    if not is_map(value):
        raise Fault(f"needs a map, not {kind(value)}")
    return value


def number(_run: Run, value: Any) -> int:
    """Accept a whole number, as the arguments of most functions are."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in INT64:
        raise Fault(f"needs a whole number, not {kind(value)}")
    return value


def whole(run: Run, value: Any) -> int:
    """Turn everything into a whole number, as integer math does; what is no number is 0."""
    if isinstance(value, str) and _WHOLE.fullmatch(value[:40]):
        return bounded(int(value))
    return bounded(int(value if isinstance(value, int) else real(run, value)))


def real(_run: Run, value: Any) -> float:
    """Turn everything into a finite floating-point number; what is no number is 0."""
    try:
        result = float(value) if isinstance(value, (int, float)) else float(value[:400])
    except (ValueError, TypeError, KeyError):
        return 0.0
    return result if math.isfinite(result) else 0.0


def bounded(value: int) -> int:
    """Return *value* when it fits into 64 bits; raises Fault otherwise."""
    if value not in INT64:
        raise Fault("the number does not fit into 64 bits")
    return value


def finite(value: float) -> float:
    """Return *value* when it is a number that JSON can hold; raises Fault otherwise."""
    if not math.isfinite(value):
        raise Fault("the result is too large")
    return value
