"""`export`, `import`, `move`: everything that a database holds, out of it and into another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.invocation import SERVER, Invocation, takes
from appliance.cli.program import called_as
from appliance.errors import NotFound, UsageError

if TYPE_CHECKING:
    from appliance.moving.portable import Manifest

_FILE = click.argument("archive", type=click.Path(path_type=Path))


@click.command("export")
@_FILE
@takes(*SERVER)
def export(invocation: Invocation, *, archive: Path) -> None:
    """Write everything of this moment to the new file ARCHIVE; a server may run.

    The archive is the same from SQLite and from PostgreSQL, and either can import it.
    """
    from appliance.moving.move import export_to

    settings = invocation.load().settings
    path = Path(settings.cwd, archive)
    if path.exists():
        raise UsageError(f"{path} exists already; name a new file.")
    if not path.parent.is_dir():
        raise NotFound(f"There is no directory {path.parent}.")
    manifest = export_to(settings.database, path)
    click.echo(f"{path} holds {_told(manifest)}.")


@click.command("import")
@_FILE
@click.option("--merge", is_flag=True, help="Add what is missing; what is there stays as it is.")
@takes(*SERVER)
def import_(invocation: Invocation, *, archive: Path, merge: bool) -> None:
    """Fill the database, which must be empty, with everything from ARCHIVE. No server may run."""
    from appliance.moving import move

    settings = invocation.load().settings
    path = Path(settings.cwd, archive)
    if not path.is_file():
        raise NotFound(f"There is no archive {path}.")
    if not merge:
        manifest = move.import_from(path, settings.database, settings.data_dir)
        click.echo(f"Imported {_told(manifest)}.")
        return
    merged = move.merge_from(path, settings.database, settings.data_dir)
    lines = [
        f"{table}: {found.added} added, {found.present} there already, {found.refused} refused"
        for table, found in merged.items()
        if any(found)
    ]
    click.echo("\n".join(lines) or "The archive is empty.")


@click.command("move")
@click.option(
    "--to",
    "target",
    required=True,
    envvar="MOVE_TO",
    metavar="URL",
    help="Where to: a DATABASE_URL. One with a password belongs into the variable MOVE_TO.",
)
@takes(*SERVER)
def move(invocation: Invocation, *, target: str) -> None:
    """Bring everything into another, empty database and compare the two. No server may run.

    The present database is left as it is. From then on start the server with the other one only, or
    runs would go on in both.
    """
    from appliance.moving.move import move as bring

    settings = invocation.load().settings
    other = Invocation({**invocation.flags, "database.url": target}).load().settings.database
    manifest = bring(
        settings.database,
        settings.data_dir,
        other,
        lambda words: click.echo(f"{words} …", err=True),
    )
    click.echo(f"Moved {_told(manifest)}; both hold the same.")
    click.echo(
        f"Now start the server with the other database: DATABASE_URL=… {called_as()} start."
        " Start none with this one any more: its runs would go on twice."
    )


def _told(manifest: Manifest) -> str:
    """Name what an archive holds; tables without rows are left out."""
    tables = manifest.tables.items()
    named = ", ".join(f"{table.rows} {name}" for name, table in tables if table.rows)
    return f"{named or 'no rows'} (schema {manifest.schema})"
