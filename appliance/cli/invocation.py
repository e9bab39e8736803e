"""Invocation: the settings that a command was called with, and what it prints with.

Options of commands come from the registry of settings, so that a setting has one name, one meaning
and one line of help wherever it is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from appliance.cli.output import Output, warn
from appliance.config import registry
from appliance.errors import InvalidConfiguration, InvalidProject, UsageError

if TYPE_CHECKING:
    from appliance.config import Loaded
    from appliance.language.model import Project
    from appliance.language.sources import Resource
    from appliance.operations.definitions import Load

PLACE = ("cli.cwd", "cli.env_file", "data_dir")
"""Settings of every command: where it works."""

PRINT = ("cli.default_format",)
CLIENT = (*PLACE, "cli.api_key", "cli.base_url", "cli.timeout", *PRINT)
"""Settings of a command that calls a server."""

ALL = tuple(path for path, setting in registry.BY_PATH.items() if setting.flag)
SERVER = tuple(path for path in ALL if not path.startswith("cli.") or path in PLACE)
"""Settings of a command that is a server, or works on its database."""


class Invocation:
    """One call of the program. *flags* are the settings that were given as options."""

    def __init__(self, flags: dict[str, Any]) -> None:
        self.flags = flags
        self._loaded: dict[Path | None, Loaded] = {}

    def load(self, project: Path | None = None) -> Loaded:
        """Return the settings, with those in the compozy.yaml of *project*; warnings are shown once.

        Raises: InvalidConfiguration.
        """
        from appliance.config import load

        if project not in self._loaded:
            loaded = load(self.flags, Path.cwd(), os.environ, project=project)
            for warning in loaded.warnings:
                warn(warning)
            self._loaded[project] = loaded
        return self._loaded[project]

    def output(self) -> Output:
        """Return what to print results with."""
        return Output(self.load().settings.cli.format)

    def project(self, path: Path | None = None) -> tuple[Loaded, Project]:
        """Return the settings and the project: that of *path*, of this directory, or the sample.

        Warnings about the project are shown. Raises: InvalidConfiguration, InvalidProject with
        every problem.
        """
        loaded = self.load(path)
        found = _read_project(loaded, path)
        for warning in found.warnings:
            warn(warning)
        return loaded, found

    def reader(self, path: Path | None = None) -> Load:
        """Return what reads that project again, from the files as they are then."""

        def read(resources: Iterable[Resource]) -> Project:
            from appliance.config import load

            try:
                loaded = load(self.flags, Path.cwd(), os.environ, project=path)
            except InvalidConfiguration as error:
                raise InvalidProject(error.message, problems=[error.message]) from None
            return _read_project(loaded, path, resources)

        return read


def _read_project(loaded: Loaded, path: Path | None, resources: Iterable[Resource] = ()) -> Project:
    from appliance.config.loading import PROJECT_FILE
    from appliance.language.loader import load_project

    cwd = loaded.settings.cwd
    here = cwd if (cwd / PROJECT_FILE).is_file() else None
    found = load_project(Path(cwd, path) if path else here, loaded.env, resources)
    limits = loaded.settings.runtime
    runtime = msgspec.structs.replace(
        found.runtime,
        timeout=limits.tool_execution_timeout,
        memory_limit=limits.tool_memory_limit,
    )
    return msgspec.structs.replace(found, env=loaded.env, runtime=runtime)


def takes(*paths: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of the settings *paths*; it receives an Invocation in their place."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        names = {path.replace(".", "__"): path for path in paths}

        def called(**arguments: Any) -> Any:
            flags = {path: arguments.pop(name) for name, path in names.items()}
            return function(Invocation(flags), **arguments)

        command = update_wrapper(called, function)
        for option in reversed([*_options(names.items()), _DEBUG]):
            command = option(command)
        return command

    return decorate


def confirm(question: str, flag: str) -> None:
    """Ask before something is lost; *flag* is what says yes where nobody can be asked.

    Raises: UsageError where standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody can be asked here; {flag} says yes.")
    click.confirm(question, abort=True, err=True)


def _options(names: Iterable[tuple[str, str]]) -> list[Callable[[Any], Any]]:
    return [_option(name, registry.BY_PATH[path]) for name, path in names]


def _option(name: str, setting: registry.Setting) -> Callable[[Any], Any]:
    default = f" [{setting.default}]" if setting.default else ""
    words = f"{setting.help}{default}"
    if setting.path == "server.auth.enabled":
        return click.option("--auth-enabled/--no-auth", name, default=None, help=words)
    if setting.path == "cli.default_format":
        return click.option("-o", setting.flag, name, metavar="FORMAT", help=words)
    if setting.default in {"true", "false"}:
        return click.option(
            f"{setting.flag}/--no-{setting.flag[2:]}", name, default=None, help=words
        )
    return click.option(setting.flag, name, metavar=_metavar(setting), help=words)


def _metavar(setting: registry.Setting) -> str:
    return setting.path.rpartition(".")[2].rpartition("_")[2].upper()


_DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show where errors arise.")
