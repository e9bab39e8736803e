"""`completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.cli.program import COMPLETE
from appliance.errors import UsageError

PROGRAM = "compozy.pyz"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--debug", is_flag=True, expose_value=False, help="Show where errors arise.")
def completion(shell: str) -> None:
    """Print the script that completes commands in a shell.

    For bash: source <(compozy.pyz completion bash), for example in ~/.bashrc. For zsh the same in
    ~/.zshrc, for fish: compozy.pyz completion fish | source.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise UsageError(f"There is no completion for {shell}.")
    root = click.get_current_context().find_root().command
    click.echo(made(root, {}, _name(), COMPLETE).source())


def _name() -> str:
    """Return the name by which the program is called, without its directory."""
    name = Path(sys.argv[0]).name
    return name if "compozy" in name else PROGRAM
