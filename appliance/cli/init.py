"""`init`: a project that runs as it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click

from appliance import atomic
from appliance.cli.program import called_as
from appliance.errors import UsageError

_FILES = {
    "compozy.yaml": "compozy.yaml",
    "main.yaml": "workflows/main.yaml",
    "tools.txt": "tools.py",
    "env.example": ".env.example",
    "gitignore": ".gitignore",
    "README.md": "README.md",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("-n", "--name", help="Name of the project [the name of the directory].")
@click.option("-d", "--description", default="A new project", help="What it is for.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show where errors arise.")
def init(path: Path, name: str | None, description: str) -> None:
    """Make a project in PATH: one workflow, one tool, ready to run. No file is overwritten."""
    chosen = name or re.sub(r"[^A-Za-z0-9_-]+", "-", path.resolve().name).strip("-_") or "project"
    if not _NAME.fullmatch(chosen):
        raise UsageError(f'--name: "{chosen}" may have letters, digits, "-" and "_" only.')
    if "\n" in description:
        raise UsageError("--description: it must be one line.")
    existing = [str(path / target) for target in _FILES.values() if (path / target).exists()]
    if existing:
        raise UsageError(f"Nothing was written; there is already: {', '.join(existing)}.")
    for target, text in _texts(chosen, description):
        file = path / target
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(file, text.encode(), mode=0o644)
    place = "" if path == Path() else f" --cwd {shlex.quote(str(path))}"
    click.echo(f"{chosen} is in {path}. Try:")
    click.echo(f"  {called_as()} workflow run main{place} --input name=Ada")
    click.echo(f"  {called_as()} start{place}")


def _texts(name: str, description: str) -> Iterator[tuple[str, str]]:
    import json

    scaffold = resources.files("appliance.cli") / "scaffold"
    for source, target in _FILES.items():
        text = (scaffold / source).read_text()
        quoted = json.dumps(description, ensure_ascii=False)
        yield target, text.replace("PROJECT_NAME", name).replace("PROJECT_DESCRIPTION", quoted)
