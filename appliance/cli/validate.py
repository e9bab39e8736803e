"""`validate`: every problem of a project at once, each with its place."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.invocation import PLACE, Invocation, takes


@click.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@takes(*PLACE)
def validate(invocation: Invocation, path: Path | None) -> None:
    """Check a project without running it: its configuration, its workflows and their tools.

    PATH is a directory with compozy.yaml or one workflow file; by default the current directory.
    Problems are written as file:line:col: message.
    """
    from appliance.config import check_knowledge

    loaded, project = invocation.project(path)
    check_knowledge(loaded.settings, project.vector_dbs)
    names = ", ".join(sorted(project.workflows))
    click.echo(f"{project.name} is valid: {len(project.workflows)} workflow(s): {names}.")
