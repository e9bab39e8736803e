"""`restore`: put a backup in place of the database."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.invocation import PLACE, Invocation, takes
from appliance.cli.program import called_as


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Path(path_type=Path), help="Into this data directory.")
@click.option("--dry-run", is_flag=True, help="Check everything and change nothing.")
@takes(*PLACE)
def restore(invocation: Invocation, *, archive: Path, target: Path | None, dry_run: bool) -> None:
    """Put the database of ARCHIVE in place of the present one. No server may run.

    Everything is checked first; the present database is kept beside the new one.
    """
    from appliance.backup.restore import restore as put_back
    from appliance.config import DatabaseSettings
    from appliance.store.datadir import DataDirectory

    settings = invocation.load().settings
    database, directory = settings.database, settings.data_dir
    if target is not None:
        directory = Path(settings.cwd, target)
        database = DatabaseSettings(driver="sqlite", path=str(directory / "app.db"))
    data = DataDirectory(directory)
    done = put_back(Path(settings.cwd, archive), data, database, dry_run=dry_run)
    counts = ", ".join(f"{count} {name}" for name, count in done.manifest.counts.items())
    click.echo(f"{archive} is sound: {counts}; made {done.manifest.created_at}.")
    if dry_run:
        click.echo("Nothing was changed.")
        return
    click.echo(f"It is restored to {database.path}.")
    if done.previous:
        click.echo(f"What was there before is in {done.previous}.")
    if data.read_admin_key() is None:
        click.echo(f"There is no admin key here; {called_as()} auth bootstrap --force makes one.")
