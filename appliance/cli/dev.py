"""`dev`: the server for whoever writes a project; it follows the files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance import clock
from appliance.cli.invocation import SERVER, Invocation, takes
from appliance.cli.output import fail, plain
from appliance.cli.start import serve
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.language.files import Stamps
    from appliance.operations.appliance import Appliance

POLL = 0.5
"""Seconds between two looks at the files: cheap, and the same on every file system."""

SHARE = 20
"""How many times as long as the last look took to wait for the next: a large tree is seen later."""

DEBOUNCE = 0.2
"""Seconds without a change after which what was saved counts as whole."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@takes(*SERVER)
def dev(invocation: Invocation, path: Path | None) -> int:
    """Start the server and follow the files: what is saved counts at once.

    PATH is a directory with compozy.yaml or one workflow file; by default the current directory.
    Workflows, tools, .env and everything else the project is made of are read again after each
    change. A file with a problem is told, and the former version goes on. Runs under way keep the
    definition that they began with.
    """
    look = _looking(invocation, path)
    seen = look()

    async def follow(appliance: Appliance) -> None:
        async for _ in _changes(look, seen):
            await _reload(appliance)

    return serve(invocation, path, follow)


def _looking(invocation: Invocation, path: Path | None) -> Callable[[], Stamps]:
    """Return what looks at the files that the project at *path* is made of."""
    from appliance.language.files import stamps

    cwd = invocation.load(path).settings.cwd
    place = Path(cwd, path or ".")
    directory = place if place.is_dir() else place.parent
    env_file = invocation.flags.get("cli.env_file")
    others = [Path(cwd, env_file or ".env")]
    return lambda: stamps(directory, others=others)


async def _changes(look: Callable[[], Stamps], seen: Stamps) -> AsyncIterator[None]:
    while True:
        began = clock.monotonic()
        found = await asyncio.to_thread(look)
        if found == seen:
            await asyncio.sleep(max(POLL, SHARE * (clock.monotonic() - began)))
            continue
        while found != seen:
            seen = found
            await asyncio.sleep(DEBOUNCE)
            found = await asyncio.to_thread(look)
        yield


async def _reload(appliance: Appliance) -> None:
    try:
        changes = await appliance.reload()
    except ApplianceError as error:
        for problem in error.details.get("problems") or [error.message]:
            click.echo(plain(problem), err=True)
        fail("The project was not reloaded; the former version goes on.")
    else:
        for change in changes:
            click.echo(f"reloaded: {plain(change)}", err=True)
