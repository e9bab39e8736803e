"""`nodes`: the servers that share a database."""

from __future__ import annotations

from typing import Any

import click

from appliance.cli.client import Client, call
from appliance.cli.invocation import CLIENT, Invocation, takes
from appliance.errors import UsageError

_FIELDS = ("name", "version", "url", "leads", "runs", "calls", "lease_age", "started_at")


@click.command()
@takes(*CLIENT)
def nodes(invocation: Invocation) -> None:
    """List the servers that share the database, the oldest first: that one leads."""

    async def work(client: Client) -> Any:
        if client.in_process:
            raise UsageError("No server runs here; start one first, or name one by --base-url.")
        return (await client.get("/nodes"))["nodes"]

    invocation.output().rows(call(invocation, work), *_FIELDS)
