"""`workflow`: what can be run, and running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli import given
from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.cli.launch import DETACH, KEY, PROJECT, SYNC, launch
from appliance.errors import UsageError


@click.group()
def workflow() -> None:
    """List, show and run workflows."""


@workflow.command("list")
@click.option("--limit", type=click.IntRange(1), default=500, help="How many at most. [500]")
@PROJECT
@takes(*CLIENT)
def list_(invocation: Invocation, *, limit: int, project: Path | None) -> None:
    """List the workflows of the project."""

    async def work(client: Client) -> list[dict[str, Any]]:
        return await client.pages("/workflows", "workflows", limit=limit)

    rows = call(invocation, work, project=project)
    invocation.output().rows(rows, "id", "version", "task_count", "description")


@workflow.command()
@click.argument("workflow_id")
@PROJECT
@takes(*CLIENT)
def get(invocation: Invocation, *, workflow_id: str, project: Path | None) -> None:
    """Show a workflow with its whole definition."""
    found = call(
        invocation, lambda client: client.get(f"/workflows/{segment(workflow_id)}"), project=project
    )
    invocation.output().record(found)


@workflow.command()
@click.argument("workflow_id")
@click.option("--input", "pairs", multiple=True, metavar="K=V", help="Input as text; K:=V is JSON.")
@click.option("--input-file", metavar="FILE", help="Input as a JSON object in a file; - is stdin.")
@click.option("--task", "task_id", metavar="ID", help="Begin with this task, not the first.")
@DETACH
@SYNC
@KEY
@PROJECT
@takes(*CLIENT)
def run(
    invocation: Invocation,
    *,
    workflow_id: str,
    pairs: tuple[str, ...],
    input_file: str | None,
    task_id: str | None,
    detach: bool,
    sync: bool,
    idempotency_key: str | None,
    project: Path | None,
) -> int:
    """Run a workflow, wait for its end and print its output.

    The exit code is 0 when the run succeeded and 1 when it did not.
    """
    if sync and detach:
        raise UsageError("--sync waits for the end and --detach does not; choose one.")
    run_input = {
        **given.from_file("--input-file", input_file),
        **dict(given.field("--input", text) for text in pairs),
    }
    return launch(
        invocation,
        f"/workflows/{segment(workflow_id)}/executions",
        {"input": run_input, "task_id": task_id},
        detach=detach,
        idempotency_key=idempotency_key,
        project=project,
    )
