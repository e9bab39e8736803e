"""The generated parts of the documentation. Run as a module to write them into docs/."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from appliance.cli.program import program
from appliance.config import registry

DOCS = Path(__file__).parents[2] / "docs"


def settings() -> str:
    """Return the table of all settings."""
    lines = ["| Setting | Default | Variable | Flag | Meaning |", "|---|---|---|---|---|"]
    for setting in registry.SETTINGS:
        default = f"`{setting.default}`" if setting.default else ""
        flag = f"`{setting.flag}`" if setting.flag else ""
        names = f"`{setting.path}` | {default} | `{setting.env}` | {flag}"
        lines.append(f"| {names} | {setting.help} |")
    return "\n".join(lines)


def commands() -> str:
    """Return every command with what it takes; options of settings are in the other table."""
    return "\n".join(_lines(program, click.Context(program, info_name="compozy.pyz")))


def _lines(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, context, info_name=name)
        if isinstance(command, click.Group):
            yield from _lines(command, inner)
        else:
            arguments = [
                piece for piece in command.collect_usage_pieces(inner) if piece != "[OPTIONS]"
            ]
            yield f"\n### `{' '.join([inner.command_path, *arguments])}`\n"
            yield inspect.cleandoc(command.help or "").replace("\n\n", "\n")
            yield from _options(command)


def _options(command: click.Command) -> Iterator[str]:
    settings = {"debug", *(name.replace(".", "__") for name in registry.BY_PATH)}
    own = [p for p in command.params if isinstance(p, click.Option) and p.name not in settings]
    if own:
        yield ""
    for option in own:
        assert option.help
        yield f"- `{', '.join(option.opts)}`: {option.help}"


def written(file: str, part: str, text: str) -> str:
    """Return the document *file* with *text* as its generated *part*."""
    document = (DOCS / file).read_text()
    begin, end = f"<!-- {part} -->\n", "<!-- end -->"
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    return re.sub(pattern, lambda _: f"{begin}\n{text}\n\n{end}", document, flags=re.DOTALL)


PARTS = [("configuration.md", "settings", settings), ("cli.md", "commands", commands)]


if __name__ == "__main__":
    for file, part, make in PARTS:
        (DOCS / file).write_text(written(file, part, make()))
