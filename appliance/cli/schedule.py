"""`schedule`: what starts by itself and when."""

from __future__ import annotations

from typing import Any

import click

from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.errors import UsageError

_FIELDS = ("workflow_id", "cron", "timezone", "enabled", "next_run_time", "last_run_status")
_TICK_FIELDS = ("tick", "outcome", "exec_id", "reason")


@click.group()
def schedule() -> None:
    """List, change, pause and trigger schedules."""


@schedule.command("list")
@click.option("--limit", type=click.IntRange(1), default=500, help="How many at most. [500]")
@takes(*CLIENT)
def list_(invocation: Invocation, *, limit: int) -> None:
    """List the schedules of the project."""

    async def work(client: Client) -> list[dict[str, Any]]:
        return await client.pages("/schedules", "schedules", limit=limit)

    invocation.output().rows(call(invocation, work), *_FIELDS)


@schedule.command()
@click.argument("workflow_id")
@takes(*CLIENT)
def get(invocation: Invocation, *, workflow_id: str) -> None:
    """Show the schedule of a workflow."""
    invocation.output().record(call(invocation, lambda c: c.get(_path(workflow_id))))


@schedule.command()
@click.argument("workflow_id")
@takes(*CLIENT)
def pause(invocation: Invocation, *, workflow_id: str) -> None:
    """Let a workflow not start by itself until it is resumed."""
    invocation.output().record(call(invocation, lambda c: c.post(_path(workflow_id, "/pause"))))


@schedule.command()
@click.argument("workflow_id")
@takes(*CLIENT)
def resume(invocation: Invocation, *, workflow_id: str) -> None:
    """Let a workflow start by itself again."""
    invocation.output().record(call(invocation, lambda c: c.post(_path(workflow_id, "/resume"))))


@schedule.command("set")
@click.argument("workflow_id")
@click.option("--cron", metavar="CRON", help="When, such as '0 30 6 * * 1-5' or '@every 1h'.")
@click.option("--timezone", metavar="ZONE", help="Whose clock, such as Europe/Lisbon.")
@takes(*CLIENT)
def set_(
    invocation: Invocation, *, workflow_id: str, cron: str | None, timezone: str | None
) -> None:
    """Change when a workflow starts by itself, until it is reset."""
    changes = {"cron": cron, "timezone": timezone}
    if cron is None and timezone is None:
        raise UsageError("say what to change: --cron, --timezone or both.")
    invocation.output().record(call(invocation, lambda c: c.patch(_path(workflow_id), changes)))


@schedule.command()
@click.argument("workflow_id")
@takes(*CLIENT)
def reset(invocation: Invocation, *, workflow_id: str) -> None:
    """Take back what was changed; what the project says counts again."""

    async def work(client: Client) -> dict[str, Any]:
        await client.delete(_path(workflow_id))
        found: dict[str, Any] = await client.get(_path(workflow_id))
        return found

    invocation.output().record(call(invocation, work))


@schedule.command()
@click.argument("workflow_id")
@takes(*CLIENT)
def trigger(invocation: Invocation, *, workflow_id: str) -> None:
    """Begin a run now, with the input of the schedule, and print its id."""

    async def work(client: Client) -> str:
        if client.in_process:
            raise UsageError("a run needs a server, and none runs here; start one first.")
        return str((await client.post(_path(workflow_id, "/trigger")))["exec_id"])

    click.echo(call(invocation, work))


@schedule.command()
@click.argument("workflow_id")
@click.option("--limit", type=click.IntRange(1), default=50, help="How many at most. [50]")
@takes(*CLIENT)
def ticks(invocation: Invocation, *, workflow_id: str, limit: int) -> None:
    """List what became of each tick of a schedule, newest first."""

    async def work(client: Client) -> list[dict[str, Any]]:
        return await client.pages(_path(workflow_id, "/ticks"), "ticks", limit=limit)

    invocation.output().rows(call(invocation, work), *_TICK_FIELDS)


def _path(workflow_id: str, rest: str = "") -> str:
    return f"/schedules/{segment(workflow_id)}{rest}"
