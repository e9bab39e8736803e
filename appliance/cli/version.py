"""`version`: which program this is. It imports nothing that it does not print."""

from __future__ import annotations

import platform
import sqlite3

import click

from appliance import __version__


@click.command()
def version() -> None:
    """Show the version of the program, of Python and of SQLite."""
    click.echo(f"compozy {__version__}")
    click.echo(f"python {platform.python_version()} on {platform.machine()}")
    click.echo(f"sqlite {sqlite3.sqlite_version}")
