"""`task`: tasks of the project, run by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli import given
from appliance.cli.client import segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.cli.launch import DETACH, KEY, PROJECT, launch


@click.group()
def task() -> None:
    """Run tasks by themselves."""


@task.command()
@click.argument("task_id")
@click.option(
    "--with", "pairs", multiple=True, metavar="K=V", help="An argument as text; K:=V is JSON."
)
@click.option(
    "--with-file", metavar="FILE", help="Arguments as a JSON object in a file; - is stdin."
)
@DETACH
@KEY
@PROJECT
@takes(*CLIENT)
def run(
    invocation: Invocation,
    *,
    task_id: str,
    pairs: tuple[str, ...],
    with_file: str | None,
    detach: bool,
    idempotency_key: str | None,
    project: Path | None,
) -> int:
    """Run a task that a file with `resource: task` defines, wait for its end and print its output.

    The exit code is 0 when it succeeded and 1 when it did not.
    """
    arguments = {
        **given.from_file("--with-file", with_file),
        **dict(given.field("--with", text) for text in pairs),
    }
    return launch(
        invocation,
        f"/tasks/{segment(task_id)}/executions",
        {"with": arguments},
        detach=detach,
        idempotency_key=idempotency_key,
        project=project,
        output_of=_output,
    )


def _output(state: dict[str, Any]) -> Any:
    """Return the output of the only task of a run."""
    return next(iter(state["tasks"].values()))["output"]
