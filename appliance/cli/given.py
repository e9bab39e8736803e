"""JSON objects as they are given on the command line: as text, in a file, field by field."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from appliance.errors import UsageError


def from_text(option: str, text: str | None) -> dict[str, Any]:
    """Return the object that *text* is, empty for None. Raises UsageError that names *option*."""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option}: this is not JSON text: {error}.") from None
    if not isinstance(value, dict):
        raise UsageError(f"{option}: it must hold a JSON object.")
    return value


def from_file(option: str, name: str | None) -> dict[str, Any]:
    """Return the object in a file, `-` for standard input. Raises UsageError, OSError."""
    if name is None:
        return {}
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{option} {name}: this is not UTF-8 text.") from None
    return from_text(f"{option} {name}", text)


def field(option: str, text: str) -> tuple[str, Any]:
    """Read `name=text` or `name:=JSON`. Raises UsageError."""
    name, separator, value = text.partition("=")
    if not separator or name in {"", ":"}:
        raise UsageError(f'{option} {text}: write name=text, or name:=JSON such as "n:=5".')
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError:
        raise UsageError(f"{option} {text}: what follows := must be JSON.") from None
