"""`workflow`: what can be run, and running it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from appliance.cli import given
from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.cli.output import fail
from appliance.cli.progress import displayed, failure, follow
from appliance.errors import UsageError

_PROJECT = click.option(
    "--project",
    type=click.Path(path_type=Path),
    help="Project directory or workflow file, where no server runs [the current directory].",
)


@click.group()
def workflow() -> None:
    """List, show and run workflows."""


@workflow.command("list")
@click.option("--limit", type=click.IntRange(1), default=500, help="How many at most. [500]")
@_PROJECT
@takes(*CLIENT)
def list_(invocation: Invocation, *, limit: int, project: Path | None) -> None:
    """List the workflows of the project."""

    async def work(client: Client) -> list[dict[str, Any]]:
        return await client.pages("/workflows", "workflows", limit=limit)

    rows = call(invocation, work, project=project)
    invocation.output().rows(rows, "id", "version", "task_count", "description")


@workflow.command()
@click.argument("workflow_id")
@_PROJECT
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
@click.option("--detach", is_flag=True, help="Do not wait: print the id of the run.")
@click.option("--idempotency-key", metavar="KEY", help="The same key starts one run, not two.")
@_PROJECT
@takes(*CLIENT)
def run(
    invocation: Invocation,
    *,
    workflow_id: str,
    pairs: tuple[str, ...],
    input_file: str | None,
    detach: bool,
    idempotency_key: str | None,
    project: Path | None,
) -> int:
    """Run a workflow, wait for its end and print its output.

    The exit code is 0 when the run succeeded and 1 when it did not.
    """
    run_input = {
        **given.from_file("--input-file", input_file),
        **dict(given.field("--input", text) for text in pairs),
    }
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None

    async def work(client: Client) -> dict[str, Any] | str:
        if detach and client.in_process:
            raise UsageError("--detach needs a server, and none runs here; start one first.")
        started = await client.post(
            f"/workflows/{segment(workflow_id)}/executions", {"input": run_input}, headers=headers
        )
        exec_id: str = started["exec_id"]
        return exec_id if detach else await _wait(client, exec_id)

    result = call(invocation, work, project=project)
    if isinstance(result, str):
        click.echo(result)
        return 0
    if sentence := failure(result):
        fail(sentence)
        return 1
    invocation.output().value(result["output"])
    return 0


async def _wait(client: Client, exec_id: str) -> dict[str, Any]:
    try:
        with displayed(sys.stderr, only_terminal=True) as display:
            return await follow(client, exec_id, display)
    except asyncio.CancelledError:
        fate = "is left to the next server" if client.in_process else "goes on"
        click.echo(f'Run {exec_id} {fate}; "exec cancel {exec_id}" ends it.', err=True)
        raise
