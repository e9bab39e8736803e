"""`backup`: archives of the database, made while it is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.errors import UsageError

_LONG = 86_400.0
"""Seconds; a backup takes as long as the database is large."""


class _CreateByDefault(click.Group):
    """A group that means `create` when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name `create` where the first word is an option of it, or nothing at all."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["create", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_CreateByDefault)
def backup() -> None:
    """Make a backup (without a command: create), list, verify, fetch and delete backups."""


@backup.command()
@takes(*CLIENT)
def create(invocation: Invocation) -> None:
    """Make an archive of the database, also while it is in use, and verify it."""
    made = call(invocation, lambda client: client.post("/backups", patience=_LONG))
    invocation.output().record(made)


@backup.command("list")
@takes(*CLIENT)
def list_(invocation: Invocation) -> None:
    """List all archives, newest first."""
    found = call(invocation, lambda client: client.get("/backups"))
    invocation.output().rows(found["backups"], "name", "size", "created_at")


@backup.command()
@click.argument("name")
@takes(*CLIENT)
def verify(invocation: Invocation, *, name: str) -> None:
    """Restore an archive to a scratch place and show what is in it."""
    path = f"/backups/{segment(name)}/verify"
    invocation.output().record(call(invocation, lambda c: c.post(path, patience=_LONG)))


@backup.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@takes(*CLIENT)
def download(invocation: Invocation, *, name: str, file: Path | None) -> None:
    """Fetch an archive from a server into FILE, which must not exist."""
    target = Path(invocation.load().settings.cwd, file or name)
    if target.exists():
        raise UsageError(f"{target} exists already; name another file.")

    async def work(client: Client) -> Any:
        await client.download(f"/backups/{segment(name)}/download", target)

    call(invocation, work)
    click.echo(f"{target} is written.")


@backup.command()
@click.argument("name")
@takes(*CLIENT)
def delete(invocation: Invocation, *, name: str) -> None:
    """Delete an archive."""
    call(invocation, lambda client: client.delete(f"/backups/{segment(name)}"))
    click.echo(f"{name} is deleted.")
