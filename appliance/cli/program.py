"""The program itself: its commands, and what becomes of every error. Nobody sees a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from appliance import __version__
from appliance.cli.lazy import LazyGroup
from appliance.cli.output import fail, plain
from appliance.errors import ApplianceError, InvalidProject, Overloaded, UsageError

_COMMANDS = {
    "start": "start:start",
    "dev": "dev:dev",
    "init": "init:init",
    "validate": "validate:validate",
    "schema": "schema:schema",
    "workflow": "workflow:workflow",
    "task": "task:task",
    "exec": "executions:executions",
    "event": "events:event",
    "schedule": "schedule:schedule",
    "nodes": "nodes:nodes",
    "auth": "auth:auth",
    "migrate": "migrate:migrate",
    "backup": "backup:backup",
    "restore": "restore:restore",
    "export": "moving:export",
    "import": "moving:import_",
    "move": "moving:move",
    "definitions": "definitions:definitions",
    "config": "configuration:config",
    "completion": "completion:completion",
    "version": "version:version",
}
COMPLETE = "_COMPOZY_COMPLETE"
"""Variable in which a shell asks what could follow; see `completion`."""
_INTERNAL = 70
_INTERRUPTED = 130


class Program(LazyGroup):
    """The outermost group. It ends the process with a code of sysexits.h and at most one sentence."""

    def main(  # type: ignore[override] # click's overloads tell modes apart; here is only one
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **options: Any
    ) -> NoReturn:
        """Run the command that *args* name, then exit."""
        options |= {"standalone_mode": False, "complete_var": COMPLETE}
        trace = "--debug" in (sys.argv[1:] if args is None else args)
        try:
            code = super().main(args, prog_name or called_as(), **options)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has gone; the interpreter must not complain about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except click.Abort:
            code = _INTERRUPTED
        except click.ClickException as error:
            error.show()
            code = UsageError.exit_code
        except ApplianceError as error:
            code = _report(error, trace=trace)
        except Exception as error:  # noqa: BLE001 - the last stop: a sentence, whatever it is
            code = _unexpected(error, trace=trace)
        sys.exit(code if isinstance(code, int) else 0)


def _report(error: ApplianceError, *, trace: bool) -> int:
    """Say what went wrong on standard error and return the exit code."""
    if isinstance(error, InvalidProject):  # lines that an editor can jump to
        for problem in error.details.get("problems", ()):
            click.echo(plain(problem), err=True)
    fail(error.message)
    if trace:
        _print_trace()
    return error.exit_code


def _unexpected(error: Exception, *, trace: bool) -> int:
    if lack := Overloaded.by(error):
        return _report(lack, trace=trace)
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        fail(f"{what}.")
        code = 74
    else:
        fail(f"unexpected {type(error).__name__}: {error}; --debug shows where.")
        code = _INTERNAL
    if trace:
        _print_trace()
    return code


def _print_trace() -> None:
    import traceback

    traceback.print_exc()


def called_as() -> str:
    """Return the words that call this program, as they would be typed here again."""
    import shutil

    name = sys.argv[0]
    python = os.path.basename(sys.executable)  # noqa: PTH119 - text for people, not a path to use
    if name.endswith("__main__.py"):
        return f"{python} -m appliance"
    base = name.rpartition("/")[2]
    if shutil.which(base) == name:
        return base
    return name if "/" in name and os.access(name, os.X_OK) else f"{python} {name}"


@click.command(
    cls=Program,
    lazy={name: f"appliance.cli.{place}" for name, place in _COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-v", "--version", message="%(version)s")
def program() -> None:
    """A durable workflow server in one file."""
