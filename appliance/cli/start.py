"""`start`: the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance import log
from appliance.cli.invocation import SERVER, Invocation, takes
from appliance.cli.output import warn
from appliance.cli.program import called_as

if TYPE_CHECKING:
    from appliance.config import Settings
    from appliance.language.model import Project, Workflow
    from appliance.server.serve import Beside


@click.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@takes(*SERVER)
def start(invocation: Invocation, path: Path | None) -> int:
    """Start the server. It needs no configuration.

    PATH is a directory with compozy.yaml or one workflow file; by default the current directory, or
    a small sample when there is no compozy.yaml here. SIGHUP has the project read again.
    """
    return serve(invocation, path)


def serve(invocation: Invocation, path: Path | None, beside: Beside | None = None) -> int:
    """Serve the project at *path* and return the exit code; *beside* runs as long as the server."""
    loaded, project = invocation.project(path)
    settings = loaded.settings
    log.configure(settings.log_level, settings.log_format)
    from appliance.config import check_knowledge
    from appliance.server.serve import run

    for warning in check_knowledge(settings, project.vector_dbs):
        warn(warning)
    for name in loaded.unused:
        warn(f"compozy.yaml: {name} has no effect here.")
    return run(
        settings,
        project,
        lambda url: _greet(settings, project, url),
        load=invocation.reader(path),
        beside=beside,
    )


def _greet(settings: Settings, project: Project, url: str) -> None:
    from appliance.config.database import label

    lines = [
        f"Listening on {url} ({project.name}, {len(project.workflows)} workflow(s))",
        f"Database: {label(settings.database)}",
    ]
    lines.append(f"Admin key: {_where_the_key_is(settings)}")
    if hint := _hint(project):
        lines.append(f"Try: {called_as()} {hint}")
    click.echo("\n".join(lines), err=True)


def _where_the_key_is(settings: Settings) -> str:
    if not settings.server.auth_enabled:
        return "none is needed; authentication is off"
    key = settings.data_dir / "admin.key"
    return f"in {key}" if key.exists() else "where the database was set up, not in this directory"


def _hint(project: Project) -> str:
    workflow = project.workflows.get("hello") or next(iter(project.workflows.values()), None)
    return f"workflow run {workflow.id}{_inputs(workflow)}" if workflow else ""


def _inputs(workflow: Workflow) -> str:
    """Return an example for each input; `name` is the one that samples have."""
    names = (workflow.input or {}).get("properties") or {}
    words = (f" --input {name}={'Ada' if name == 'name' else '...'}" for name in names)
    return "".join(words)
