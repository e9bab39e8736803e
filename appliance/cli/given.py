"""JSON objects as they are given on the command line: as text, in a file, field by field."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

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


def takes_payload(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `payload`, a JSON object that is said in one or several of three ways."""

    @click.option("--payload", metavar="JSON", help="Payload as a JSON object.")
    @click.option(
        "--payload-file", metavar="FILE", help="Payload as a JSON object in a file; - is stdin."
    )
    @click.option(
        "--field",
        "fields",
        multiple=True,
        metavar="K=V",
        help="One field of the payload as text; K:=V is JSON.",
    )
    @functools.wraps(function)
    def command(
        *arguments: Any,
        payload: str | None,
        payload_file: str | None,
        fields: tuple[str, ...],
        **others: Any,
    ) -> Any:
        said = {
            **from_file("--payload-file", payload_file),
            **from_text("--payload", payload),
            **dict(field("--field", text) for text in fields),
        }
        return function(*arguments, payload=said, **others)

    return command
