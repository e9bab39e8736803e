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
@click.option("--payload", metavar="JSON", help="Payload as a JSON object.")
@click.option(
    "--payload-file", metavar="FILE", help="Payload as a JSON object in a file; - is stdin."
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="K=V",
    help="One field of the payload as text; K:=V is JSON.",
)
@click.option("--idempotency-key", metavar="KEY", help="The same key starts each workflow once.")
@takes(*CLIENT)
def send(
    invocation: Invocation,
    *,
    name: str,
    payload: str | None,
    payload_file: str | None,
    fields: tuple[str, ...],
    idempotency_key: str | None,
) -> None:
    """Start every workflow with a signal trigger NAME, and print the runs.

    Fields win over --payload, and that over --payload-file. The exit code is 65 when there are such
    workflows and the payload fits none of them.
    """
    body = {
        "name": name,
        "payload": {
            **given.from_file("--payload-file", payload_file),
            **given.from_text("--payload", payload),
            **dict(given.field("--field", text) for text in fields),
        },
    }
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None

    async def work(client: Client) -> dict[str, Any]:
        if client.in_process:
            raise UsageError("An event needs a server, and none runs here; start one first.")
        sent: dict[str, Any] = await client.post("/events", body, headers=headers)
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
