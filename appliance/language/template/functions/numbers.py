"""Numbers: integer math within 64 bits, floating-point math, and counting."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from appliance.language.template.errors import Fault
from appliance.language.template.functions.signature import (
    Function,
    anything,
    bounded,
    finite,
    real,
    row,
    text,
    whole,
)
from appliance.language.template.limits import Run

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")


def _integers(step: Callable[[int, int], int], least: int = 1) -> Function:
    return row(lambda *n: reduce(lambda a, b: bounded(step(a, b)), n), *[whole] * least, rest=whole)


def _floats(step: Callable[[float, float], float]) -> Function:
    return row(lambda *n: reduce(lambda a, b: finite(step(a, b)), n), real, rest=real)


def _quotient(a: int, b: int) -> int:
    """Divide and cut off towards zero, as Go does."""
    if b == 0:
        raise Fault("division by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _fraction(a: float, b: float) -> float:
    if b == 0:
        raise Fault("division by zero")
    return a / b


def _round(value: float, places: int, edge: float = 0.5) -> float:
    """Round to *places* digits; from the fraction *edge* on it goes away from zero."""
    scaled = abs(value) * 10.0 ** max(min(places, 300), -300)
    if not math.isfinite(scaled):
        return value
    below = math.floor(scaled)
    rounded = (below + (scaled - below >= edge)) / 10.0 ** max(min(places, 300), -300)
    return math.copysign(rounded, value)


def _atoi(source: str) -> int:
    return bounded(int(source)) if _WHOLE.fullmatch(source) else 0


def _octal(value: Any) -> int:
    digits = str(value) if isinstance(value, (str, int)) else ""
    return bounded(int(digits, 8)) if re.fullmatch(r"[0-7]{1,22}", digits) else 0


def _progression(run: Run, start: int, stop: int, step: int) -> list[int]:
    """Return start, start + step ... up to but without *stop*; nothing when it never gets there."""
    numbers = range(start, stop, step) if step else range(0)
    run.generate(len(numbers))
    return list(numbers)


def _until(run: Run, count: int) -> list[int]:
    return _progression(run, 0, count, 1 if count >= 0 else -1)


def _sequence(run: Run, *bounds: int) -> str:
    """Count like the command `seq`: end; start and end; start, step and end."""
    start, end = (bounds[0], bounds[-1]) if len(bounds) > 1 else (1, *bounds)
    step = bounds[1] if len(bounds) == 3 else 1 if end >= start else -1
    numbers = _progression(run, start, end + (1 if step > 0 else -1), step)
    return " ".join(map(str, numbers))


def _random(run: Run, least: int, below: int) -> int:
    if below <= least:
        raise Fault("the second number must be larger than the first")
    return run.environment.random.randrange(least, below)


TABLE = {
    "add": _integers(lambda a, b: a + b),
    "sub": _integers(lambda a, b: a - b, 2),
    "mul": _integers(lambda a, b: a * b),
    "div": _integers(_quotient, 2),
    "mod": _integers(lambda a, b: a - b * _quotient(a, b), 2),
    "add1": row(lambda n: bounded(n + 1), whole),
    "max": _integers(max),
    "min": _integers(min),
    "biggest": _integers(max),
    "addf": _floats(lambda a, b: a + b),
    "subf": _floats(lambda a, b: a - b),
    "mulf": _floats(lambda a, b: a * b),
    "divf": _floats(_fraction),
    "add1f": row(lambda n: n + 1.0, real),
    "maxf": _floats(max),
    "minf": _floats(min),
    "floor": row(lambda n: float(math.floor(n)), real),
    "ceil": row(lambda n: float(math.ceil(n)), real),
    "round": row(_round, real, whole, real, optional=1),
    "int": row(lambda n: n, whole),
    "int64": row(lambda n: n, whole),
    "float64": row(lambda n: n, real),
    "atoi": row(_atoi, text),
    "toDecimal": row(_octal, anything),
    "until": row(_until, whole, run=True),
    "untilStep": row(_progression, whole, whole, whole, run=True),
    "seq": row(_sequence, whole, whole, whole, optional=2, run=True),
    "randInt": row(_random, whole, whole, run=True),
}
