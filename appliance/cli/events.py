"""`event`: messages that start every workflow that listens to them."""

from __future__ import annotations

from typing import Any

import click

from appliance.cli import given
from appliance.cli.client import Client, call
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.cli.output import warn
from appliance.errors import InvalidPayload, UsageError


@click.group()
def event() -> None:
    """Send events."""


@event.command()
@click.argument("name")
@given.takes_payload
@click.option("--idempotency-key", metavar="KEY", help="The same key starts each workflow once.")
@takes(*CLIENT)
def send(
    invocation: Invocation,
    *,
    name: str,
    payload: dict[str, Any],
    idempotency_key: str | None,
) -> None:
    """Start every workflow with a signal trigger NAME, and print the runs.

    Fields win over --payload, and that over --payload-file. The exit code is 65 when there are such
    workflows and the payload fits none of them.
    """
    body = {"name": name, "payload": payload}

    async def work(client: Client) -> dict[str, Any]:
        if client.in_process:
            raise UsageError("An event needs a server, and none runs here; start one first.")
        sent: dict[str, Any] = await client.post("/events", body, once=idempotency_key)
        return sent

    _show(invocation, name, call(invocation, work))


def _show(invocation: Invocation, name: str, sent: dict[str, Any]) -> None:
    """Print the runs. Raises InvalidPayload when there are none because nothing fits."""
    refused = [f"{one['workflow_id']}: {one['reason']}" for one in sent["refused"]]
    if refused and not sent["executions"]:
        raise InvalidPayload(f"The event started nothing; {'; '.join(refused)}.")
    if not sent["executions"]:
        warn(f"No workflow listens to {name!r}; nothing was started.")
    for sentence in refused:
        warn(f"Not started: {sentence}.")
    output = invocation.output()
    if output.style == "table":
        output.rows(sent["executions"], "workflow_id", "exec_id")
    else:
        output.value(sent)
