"""`migrate`: the schema of the database, up, down and what it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

from appliance.cli.invocation import PRINT, SERVER, Invocation, confirm, takes

if TYPE_CHECKING:
    from appliance.config import DatabaseSettings


@click.group()
def migrate() -> None:
    """Bring the schema of the database up or down.

    No server may run, but for `up` on PostgreSQL those that can follow.
    """


@migrate.command()
@takes(*SERVER)
def up(invocation: Invocation) -> None:
    """Bring the schema up to date."""
    from appliance.store import migrations

    with _database(invocation, shared=True) as settings:
        before = _applied(settings)
        migrations.up(settings)
        after = _applied(settings)
    click.echo(f"{after - before} migration(s) applied; the schema is at {after}.")


@migrate.command()
@click.option("--to", "number", type=click.IntRange(0), help="Down to this one [one step].")
@click.option("--yes", is_flag=True, help="Do not ask.")
@takes(*SERVER)
def down(invocation: Invocation, *, number: int | None, yes: bool) -> None:
    """Take migrations back. The data of what they made is lost."""
    from appliance.store import migrations

    with _database(invocation, shared=False) as settings:
        migrations.require_known(settings)
        before = _applied(settings)
        target = max(before - 1, 0) if number is None else number
        if not yes and target < before:
            confirm(f"Down from {before} to {target}, losing data?", "--yes")
        migrations.down(settings, target)
    click.echo(f"The schema is at {target}.")


@migrate.command()
@takes(*SERVER, *PRINT)
def status(invocation: Invocation) -> None:
    """Show every migration and when it was applied."""
    from appliance import clock
    from appliance.store import migrations

    rows = [
        {
            "number": migration.number,
            "name": migration.name,
            "applied_at": clock.to_rfc3339(migration.applied_at_us),
        }
        for migration in migrations.status(invocation.load().settings.database)
    ]
    invocation.output().rows(rows, "number", "name", "applied_at")


@contextmanager
def _database(invocation: Invocation, *, shared: bool) -> Iterator[DatabaseSettings]:
    """Hold the data directory and the database, so that no server runs meanwhile.

    Where it may be *shared*, PostgreSQL is not held.
    """
    from appliance.store.reserving import alone

    settings = invocation.load().settings
    beside = shared and settings.database.driver == "postgres"
    with nullcontext() if beside else alone(settings.database, settings.data_dir):
        yield settings.database


def _applied(settings: DatabaseSettings) -> int:
    from appliance.store import migrations

    applied = [m.number for m in migrations.status(settings) if m.applied_at_us is not None]
    return max(applied, default=0)
