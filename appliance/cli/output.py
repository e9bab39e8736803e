"""Output: results as a table for people, as JSON or YAML for programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import click

Format = Literal["auto", "table", "json", "yaml"]


class Output:
    """Prints results. `auto` is a table on a terminal and JSON where a program reads."""

    def __init__(self, style: Format) -> None:
        self.style = style if style != "auto" else ("table" if sys.stdout.isatty() else "json")

    def rows(self, rows: Sequence[Mapping[str, Any]], *columns: str) -> None:
        """Print a listing; a table shows *columns* alone, other formats everything."""
        if self.style == "table":
            click.echo(table([[cell(row.get(name)) for name in columns] for row in rows], columns))
        else:
            self.value(list(rows))

    def record(self, record: Mapping[str, Any]) -> None:
        """Print one thing with its fields."""
        if self.style == "table":
            width = max(map(len, record), default=0)
            for name, value in record.items():
                click.echo(f"{name:<{width}}  {cell(value)}")
        else:
            self.value(record)

    def value(self, value: Any) -> None:
        """Print a value; where it has no shape of a table it is JSON."""
        click.echo(_yaml(value) if self.style == "yaml" else _json(value))


def warn(sentence: str) -> None:
    """Show a warning on standard error."""
    click.echo(f"warning: {plain(sentence)}", err=True)


def fail(sentence: str) -> None:
    """Show on standard error what went wrong."""
    click.echo(f"error: {plain(sentence)}", err=True)


def table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """Return rows below their headings, in columns as wide as they need."""
    lines = [[name.replace("_", " ").upper() for name in columns], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join(padded)


def cell(value: Any) -> str:
    """Return a value as text of one line that cannot steer the terminal."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else _json(value, indent=None)
    return plain(text)


def plain(text: str) -> str:
    """Escape control characters: what comes from a workflow must not steer the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], text)


def _json(value: Any, indent: int | None = 2) -> str:
    import json

    return json.dumps(value, indent=indent, ensure_ascii=False)


def _yaml(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    return text.rstrip()
