"""`definitions`: what the project defines, as text to keep and to move.

`export` and `import` by themselves mean everything, with runs and users; these mean definitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance import atomic
from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.errors import InvalidInput

_KINDS = ("agents", "mcps", "memories", "models", "schemas", "tasks", "tools", "workflows")
_KIND = click.option("--kind", type=click.Choice(_KINDS), help="Only these [all].")
_STRATEGIES = ("seed_only", "overwrite_conflicts")
_PROJECT = click.option(
    "--project",
    type=click.Path(path_type=Path),
    help="Project directory or workflow file, where no server runs [the current directory].",
)


@click.group()
def definitions() -> None:
    """List, export and import workflows, tools, schemas and other definitions."""


@definitions.command("list")
@_KIND
@_PROJECT
@takes(*CLIENT)
def list_(invocation: Invocation, *, kind: str | None, project: Path | None) -> None:
    """List definitions and where they stand: in a file, or in the database (api)."""

    async def work(client: Client) -> list[dict[str, Any]]:
        rows = []
        for noun in [kind] if kind else _KINDS:
            found = await client.pages(f"/{noun}", noun, limit=1_000_000)
            rows += [{"kind": noun, **row} for row in found]
        return rows

    rows = call(invocation, work, project=project)
    invocation.output().rows(rows, "kind", "id", "defined_in", "etag")


@definitions.command("export")
@click.option("--out", type=click.Path(path_type=Path), help="A file, or a directory of files.")
@_KIND
@_PROJECT
@takes(*CLIENT)
def export(
    invocation: Invocation, *, out: Path | None, kind: str | None, project: Path | None
) -> None:
    """Write definitions as YAML, secrets too: to standard output, one file, or a file for each.

    Into a directory (one that exists) every definition goes into a file of its own that autoload
    understands: DIR/tools/resize.yaml.
    """
    path = f"/{kind or 'project'}/export"
    text = call(invocation, lambda client: client.export(path), project=project)
    if out is None:
        click.echo(text, nl=False)
    elif out.is_dir():
        files = list(_files(text))
        for name, content in files:
            _write(out / name, content)
        click.echo(f"{len(files)} definition(s) are in {out}.")
    else:
        _write(out, text)
        click.echo(f"The definitions are in {out}.")


@definitions.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--strategy",
    type=click.Choice(_STRATEGIES),
    default="seed_only",
    help="What becomes of a definition that is there already: it stays, or is replaced. [seed_only]",
)
@_PROJECT
@takes(*CLIENT)
def import_(
    invocation: Invocation, *, paths: tuple[Path, ...], strategy: str, project: Path | None
) -> None:
    """Take up definitions from files that `export` wrote, or directories of them: all or none."""
    text = _bundle(paths)
    done = call(
        invocation,
        lambda client: client.import_("/project/import", text, strategy=strategy),
        project=project,
    )
    invocation.output().record(done)


@definitions.command()
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("name")
@_PROJECT
@takes(*CLIENT)
def delete(invocation: Invocation, *, kind: str, name: str, project: Path | None) -> None:
    """Remove a definition that was imported, or came through the API."""
    path = f"/{kind}/{segment(name)}"
    call(invocation, lambda client: client.delete(path), project=project)
    click.echo(f"{kind}/{name} is removed.")


def _files(text: str) -> Iterator[tuple[str, str]]:
    """Return a file name and a text for each definition of an export."""
    from appliance.language import canonical, yaml
    from appliance.language.kinds import KINDS, identifier

    for noun, entries in (yaml.load(text, "the export").data or {}).items():
        for data in entries:
            content = {"resource": KINDS[noun], **data}
            yield f"{noun}/{quote(identifier(data), safe='')}.yaml", canonical.to_yaml(content)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, text.encode())  # 0600: it may hold secrets


def _bundle(paths: tuple[Path, ...]) -> str:
    """Return the files as one export. Raises: InvalidInput."""
    from appliance.language import canonical

    bundle: dict[str, list[Any]] = {}
    for path in paths:
        for file in sorted(path.rglob("*.yaml")) if path.is_dir() else [path]:
            for noun, entries in _read(file).items():
                bundle.setdefault(noun, []).extend(entries)
    return canonical.to_yaml(bundle)


def _read(file: Path) -> dict[str, list[Any]]:
    """Return the definitions in a file: an export, or one definition that names its `resource`."""
    from appliance.language import yaml
    from appliance.language.kinds import NOUNS

    data = yaml.read(file, str(file)).data
    kind = data.get("resource") if isinstance(data, dict) else None
    if kind in NOUNS:
        return {NOUNS[kind]: [data]}
    if not isinstance(data, dict) or not all(isinstance(found, list) for found in data.values()):
        raise InvalidInput(f"{file} is neither an export nor a definition with 'resource'.")
    return data
