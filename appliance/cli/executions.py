"""`exec`: runs of workflows."""

from __future__ import annotations

import sys
from typing import Any, get_args

import click

from appliance import clock
from appliance.cli import given
from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.cli.launch import DETACH, KEY, launch
from appliance.cli.output import fail
from appliance.cli.progress import displayed, failure, follow, walk
from appliance.config.values import seconds
from appliance.engine.status import Status
from appliance.errors import UsageError

_RUNS = "/executions/workflows"
_RUN_FIELDS = ("workflow_exec_id", "workflow_id", "status", "created_at", "updated_at")
_TASK_FIELDS = ("task", "type", "status", "attempt", "output", "error")


@click.group("exec")
def executions() -> None:
    """List, show, watch and command runs."""


@executions.command("list")
@click.option("--workflow", "workflow_id", help="Only runs of this workflow.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(get_args(Status), case_sensitive=False),
    multiple=True,
    help="Only runs in this state; may be repeated.",
)
@click.option(
    "--since", metavar="WHEN", help="Only runs begun since: a time, or how long ago, such as 1h30m."
)
@click.option("--until", metavar="WHEN", help="Only runs begun before; written like --since.")
@click.option("--limit", type=click.IntRange(1), default=50, help="How many at most. [50]")
@takes(*CLIENT)
def list_(
    invocation: Invocation,
    *,
    workflow_id: str | None,
    statuses: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
) -> None:
    """List runs, newest first."""
    query = {
        "workflow_id": workflow_id,
        "status": ",".join(statuses) or None,
        "since": _moment("--since", since),
        "until": _moment("--until", until),
    }

    async def work(client: Client) -> list[dict[str, Any]]:
        return await client.pages(_RUNS, "executions", limit=limit, **query)

    invocation.output().rows(call(invocation, work), *_RUN_FIELDS)


@executions.command()
@click.argument("exec_id")
@takes(*CLIENT)
def get(invocation: Invocation, *, exec_id: str) -> None:
    """Show a run with its tasks."""
    _show(invocation, call(invocation, lambda client: client.get(_path(exec_id))))


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
    _command(invocation, exec_id, "cancel")


@executions.command()
@click.argument("exec_id")
@takes(*CLIENT)
def pause(invocation: Invocation, *, exec_id: str) -> None:
    """Let a run begin nothing new; what is under way ends."""
    _command(invocation, exec_id, "pause")


@executions.command()
@click.argument("exec_id")
@takes(*CLIENT)
def resume(invocation: Invocation, *, exec_id: str) -> None:
    """Let a paused run go on."""
    _command(invocation, exec_id, "resume")


@executions.command()
@click.argument("exec_id")
@takes(*CLIENT)
def retry(invocation: Invocation, *, exec_id: str) -> None:
    """Let a run that ended badly go on from the task that did not succeed."""
    _command(invocation, exec_id, "retry")


@executions.command()
@click.argument("exec_id")
@DETACH
@KEY
@takes(*CLIENT)
def rerun(
    invocation: Invocation, *, exec_id: str, detach: bool, idempotency_key: str | None
) -> int:
    """Begin a new run with the same input, wait for its end and print its output.

    It has the definition of today. The exit code is 0 when it succeeded and 1 when it did not.
    """
    path = f"{_path(exec_id)}/rerun"
    return launch(invocation, path, None, detach=detach, idempotency_key=idempotency_key)


@executions.command()
@click.argument("exec_id")
@click.argument("name")
@given.takes_payload
@click.option("--idempotency-key", metavar="KEY", help="The same key gives the signal once.")
@takes(*CLIENT)
def signal(
    invocation: Invocation,
    *,
    exec_id: str,
    name: str,
    payload: dict[str, Any],
    idempotency_key: str | None,
) -> None:
    """Give a run the signal NAME, now or when it comes to wait for it.

    Fields win over --payload, and that over --payload-file.
    """
    path, body = f"{_path(exec_id)}/signals", {"signal_name": name, "payload": payload}
    found = call(invocation, lambda client: client.post(path, body, once=idempotency_key))
    invocation.output().record(found)


def _path(exec_id: str) -> str:
    return f"{_RUNS}/{segment(exec_id)}"


def _command(invocation: Invocation, exec_id: str, command: str) -> None:
    _show(invocation, call(invocation, lambda client: client.post(f"{_path(exec_id)}/{command}")))


def _moment(option: str, text: str | None) -> str | None:
    """Return the time that *text* means: as it is, or so long ago."""
    if text is None or "T" in text.upper():
        return text
    try:
        ago_us = int(seconds(text) * clock.MICROSECONDS)
    except ValueError:
        raise UsageError(
            f'{option} {text}: write a time such as "2026-01-31T09:30:00Z", '
            'or how long ago, such as "1h30m".'
        ) from None
    return clock.to_rfc3339(clock.now_us() - ago_us)


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
