"""`exec`: runs of workflows."""

from __future__ import annotations

import sys
from typing import Any, get_args

import click

from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.cli.output import fail
from appliance.cli.progress import displayed, failure, follow, walk
from appliance.engine.status import Status

_RUN_FIELDS = ("workflow_exec_id", "workflow_id", "status", "created_at", "updated_at")
_TASK_FIELDS = ("task", "type", "status", "attempt", "output", "error")


@click.group("exec")
def executions() -> None:
    """List, show, watch and cancel runs."""


@executions.command("list")
@click.option("--workflow", "workflow_id", help="Only runs of this workflow.")
@click.option(
    "--status",
    type=click.Choice(get_args(Status), case_sensitive=False),
    help="Only runs in this state.",
)
@click.option("--limit", type=click.IntRange(1), default=50, help="How many at most. [50]")
@takes(*CLIENT)
def list_(
    invocation: Invocation, *, workflow_id: str | None, status: str | None, limit: int
) -> None:
    """List runs, newest first."""

    async def work(client: Client) -> list[dict[str, Any]]:
        return await client.pages(
            "/executions/workflows",
            "executions",
            limit=limit,
            workflow_id=workflow_id,
            status=status,
        )

    invocation.output().rows(call(invocation, work), *_RUN_FIELDS)


@executions.command()
@click.argument("exec_id")
@takes(*CLIENT)
def get(invocation: Invocation, *, exec_id: str) -> None:
    """Show a run with its tasks."""
    _show(
        invocation, call(invocation, lambda c: c.get(f"/executions/workflows/{segment(exec_id)}"))
    )


@executions.command()
@click.argument("exec_id")
@takes(*CLIENT)
def watch(invocation: Invocation, *, exec_id: str) -> int:
    """Follow a run until it ends. The exit code is 0 when it succeeded and 1 when it did not."""

    async def work(client: Client) -> dict[str, Any]:
        with displayed(sys.stdout) as display:
            return await follow(client, exec_id, display)

    sentence = failure(call(invocation, work))
    if sentence:
        fail(sentence)
    return 1 if sentence else 0


@executions.command()
@click.argument("exec_id")
@takes(*CLIENT)
def cancel(invocation: Invocation, *, exec_id: str) -> None:
    """Stop a run and everything it is doing."""
    _show(
        invocation,
        call(invocation, lambda c: c.post(f"/executions/workflows/{segment(exec_id)}/cancel")),
    )


def _show(invocation: Invocation, state: dict[str, Any]) -> None:
    output = invocation.output()
    if output.style != "table":
        output.value(state)
        return
    tasks = state.pop("tasks")
    output.record(state)
    if tasks:
        click.echo()
        output.rows([{"task": path, **task} for path, task in walk(tasks)], *_TASK_FIELDS)
