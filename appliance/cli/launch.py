"""Launch: a run that is begun from the command line, and waited for or left alone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from appliance.cli.client import Client, call
from appliance.cli.invocation import Invocation
from appliance.cli.output import fail
from appliance.cli.progress import displayed, failure, follow
from appliance.errors import UsageError

PROJECT = click.option(
    "--project",
    type=click.Path(path_type=Path),
    help="Project directory or workflow file, where no server runs [the current directory].",
)
DETACH = click.option("--detach", is_flag=True, help="Do not wait: print the id of the run.")
SYNC = click.option("--sync", is_flag=True, help="Wait for the end; this is so anyway.")
KEY = click.option("--idempotency-key", metavar="KEY", help="The same key starts one run, not two.")


def launch(
    invocation: Invocation,
    path: str,
    body: dict[str, Any] | None,
    *,
    detach: bool,
    idempotency_key: str | None,
    project: Path | None = None,
    output_of: Callable[[dict[str, Any]], Any] = lambda state: state["output"],
) -> int:
    """Begin a run by a request to *path*; wait for its end and print its output, or print its id.

    Return the exit code: 0 when the run succeeded or is not waited for, 1 when it did not succeed.
    """

    async def work(client: Client) -> tuple[dict[str, Any], dict[str, Any] | None]:
        if detach and client.in_process:
            raise UsageError("--detach needs a server, and none runs here; start one first.")
        started = await client.post(path, body, once=idempotency_key)
        return started, None if detach else await _wait(client, started["exec_id"])

    started, state = call(invocation, work, project=project)
    if state is None:
        _print_started(invocation, started)
        return 0
    if sentence := failure(state):
        fail(sentence)
        return 1
    invocation.output().value(output_of(state))
    return 0


def _print_started(invocation: Invocation, started: dict[str, Any]) -> None:
    """Print the id alone, for the shell, unless a format was asked for."""
    if invocation.load().settings.cli.format in {"json", "yaml"}:
        invocation.output().value(started)
    else:
        click.echo(started["exec_id"])


async def _wait(client: Client, exec_id: str) -> dict[str, Any]:
    try:
        with displayed(sys.stderr, only_terminal=True) as display:
            return await follow(client, exec_id, display)
    except asyncio.CancelledError:
        fate = "is left to the next server" if client.in_process else "goes on"
        click.echo(f'Run {exec_id} {fate}; "exec cancel {exec_id}" ends it.', err=True)
        raise
