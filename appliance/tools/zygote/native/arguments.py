"""What a task gave, made sure of. Each function raises Refusal with InvalidArgument."""

from __future__ import annotations

from typing import Any

from ..refusal import Refusal


def invalid(message: str) -> Refusal:
    """Return the refusal of an argument; *message* is a whole sentence."""
    return Refusal("InvalidArgument", message)


def text(name: str, value: Any) -> str:
    """Return a text that can be the name of a file or an argument of a command."""
    if not isinstance(value, str):
        raise invalid(f"{name!r} must be text.")
    if "\0" in value or not _is_unicode(value):
        raise invalid(f"{name!r} holds a character that no text can have.")
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def flag(name: str, value: Any, default: bool) -> bool:
    """Return yes or no."""
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"{name!r} must be true or false.")
    return value


def whole(name: str, value: Any, default: int, low: int, high: int) -> int:
    """Return a whole number from *low* to *high*."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(f"{name!r} must be a whole number from {low} to {high}.")
    return value


def seconds(name: str, milliseconds: Any, limit: float) -> float:
    """Return a time in seconds that was given in milliseconds: never more than *limit*."""
    return min(whole(name, milliseconds, int(limit * 1000), 1, 1 << 31) / 1000, limit)


def texts(name: str, value: Any) -> list[str]:
    """Return a list of texts; a single text is a list of one."""
    if value is None:
        return []
    if not isinstance(value, list):
        return [text(name, value)]
    return [text(name, each) for each in value]


def named_texts(name: str, value: Any) -> dict[str, str]:
    """Return a mapping of texts to texts."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{name!r} must be a mapping.")
    return {text(name, key): text(f"{name}.{key}", each) for key, each in value.items()}
