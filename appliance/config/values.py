"""How the text of a setting becomes a value. Each reader raises ValueError with what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Reader = Callable[[str], Any]

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_SIZE_UNITS: dict[str, int] = {
    "": 1,
    **{unit: 1000**n for n, unit in enumerate(("B", "kB", "MB", "GB"))},
    **{unit: 1024**n for n, unit in enumerate(("KiB", "MiB", "GiB"), 1)},
}
_SIZE = re.compile(r"([0-9]{1,12})\s*([A-Za-z]*)")
_TRUTH = {"true": True, "yes": True, "on": True, "1": True}
_TRUTH |= {"false": False, "no": False, "off": False, "0": False}


def text(value: str) -> str:
    """Return the text as it is, unless it holds what no file name, URL or header may."""
    if "\0" in value or "\n" in value:
        raise ValueError("text without NUL or line break")
    return value


def absolute(value: str, cwd: Path) -> Path:
    """Return the path that *value* means in *cwd*; `~` is the home directory of the user."""
    try:
        return Path(cwd, Path(value).expanduser()).absolute()
    except RuntimeError:
        return Path(cwd, value).absolute()


def flag(value: str) -> bool:
    """Read yes or no."""
    try:
        return _TRUTH[value.lower()]
    except KeyError:
        raise ValueError("true or false") from None


def items(value: str) -> tuple[str, ...]:
    """Read a list written with commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def integer(low: int, high: int) -> Reader:
    """Return a reader of whole numbers from *low* to *high*."""

    def read(value: str) -> int:
        if re.fullmatch(r"[+-]?[0-9]{1,18}", value) and low <= int(value) <= high:
            return int(value)
        raise ValueError(f"a whole number from {low} to {high}")

    return read


def choice(*names: str, aliases: dict[str, str] | None = None) -> Reader:
    """Return a reader of one of *names*, in any case; *aliases* are accepted but not offered."""

    def read(value: str) -> str:
        name = (aliases or {}).get(value.lower(), value.lower())
        if name in names:
            return name
        raise ValueError(_either(names))

    return read


def seconds(value: str) -> float:
    """Read a duration in Go's form, for example `1m30s`; longer than nothing, at most 24 days."""
    if _DURATION.fullmatch(value):
        total = sum(float(n) * _UNIT_SECONDS[unit] for n, unit in _DURATION_PART.findall(value))
        if 0 < total <= 2_073_600:
            return total
    raise ValueError('a duration with its unit, such as "5s", "250ms" or "1m30s"')


def lease(value: str) -> float:
    """Read a duration of at least 3 s: a node must have time to be slow."""
    found = seconds(value)
    if found < 3:
        raise ValueError('a duration of at least "3s"')
    return found


def seconds_or_milliseconds(value: str) -> float:
    """Read a duration, or a bare whole number, which means milliseconds as in SQLite itself."""
    return seconds(f"{value}ms" if re.fullmatch(r"[0-9]+", value) else value)


def size(value: str) -> int:
    """Read a number of bytes, with or without a unit: `1073741824`, `512MiB`, `10MB`."""
    match = _SIZE.fullmatch(value)
    if match and match[2] in _SIZE_UNITS:
        return int(match[1]) * _SIZE_UNITS[match[2]]
    raise ValueError('a number of bytes, such as "10485760", "512MiB" or "1GiB"')


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
