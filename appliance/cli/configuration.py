"""`config`: what the settings are and where each of them comes from."""

from __future__ import annotations

import click
import msgspec

from appliance.cli.invocation import ALL, PLACE, Invocation, takes


@click.group()
def config() -> None:
    """Show and check the configuration."""


@config.command()
@takes(*ALL)
def show(invocation: Invocation) -> None:
    """Show every setting, its value and where it came from; secrets are masked."""
    rows = [msgspec.to_builtins(item) for item in invocation.load().shown]
    invocation.output().rows(rows, "setting", "value", "origin", "env", "flag")


@config.command()
@takes(*ALL)
def validate(invocation: Invocation) -> None:
    """Check the configuration (not the workflows: `validate` does) and name what has no effect."""
    from appliance.config import check_knowledge
    from appliance.config.database import label

    loaded = invocation.load()
    check_knowledge(loaded.settings, ())
    for name in loaded.unused:
        click.echo(f"compozy.yaml: {name} has no effect here.", err=True)
    click.echo(f"The configuration is valid: {label(loaded.settings.database)}.")


@config.command("list-backends")
@takes(*PLACE, "cli.default_format")
def list_backends(invocation: Invocation) -> None:
    """List the kinds of database, how to choose each, and which one is chosen."""
    chosen = invocation.load().settings.database.driver
    rows = [
        {
            "backend": "sqlite",
            "choose": "nothing, sqlite://x/y.db, file:y.db, ./y.db, :memory:",
            "good_for": "one box",
            "chosen": chosen == "sqlite",
        },
        {
            "backend": "postgres",
            "choose": "postgresql://user:password@host/name",
            "good_for": "a database team, replicas, pgvector",
            "chosen": chosen == "postgres",
        },
    ]
    invocation.output().rows(rows, "backend", "choose", "good_for", "chosen")
