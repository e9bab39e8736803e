"""Where tool functions come from: the `runtime` of a project, and the functions of its entrypoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.errors import InvalidInput
from appliance.language.model import Runtime
from appliance.language.problems import Problem, Problems
from appliance.language.sections import Section

if TYPE_CHECKING:
    from appliance.tools.introspect import Signature

_TYPES = ("python", "bun", "node")


def read_runtime(section: Section | None, directory: Path) -> Runtime:
    """Read `runtime` as far as it is the project's; the configuration has fields in it too."""
    if section is None:
        return _default(directory)
    entrypoint = section.text("entrypoint")
    guess = "bun" if entrypoint.endswith((".ts", ".js")) else "python"
    kind: Any = section.choice("type", _TYPES, guess)
    _read_permissions(section, kind)
    file = (directory / entrypoint).absolute()
    if not entrypoint:
        return _default(directory) if kind == "python" else Runtime(type=kind)
    if kind == "python" and file.suffix != ".py":
        section.error(f"the entrypoint {entrypoint!r} must be a .py file", "entrypoint")
    elif not file.is_file():
        section.error(f"there is no file {entrypoint!r}", "entrypoint")
    return Runtime(type=kind, entrypoint=str(file))


def _default(directory: Path) -> Runtime:
    file = directory / "tools.py"
    return Runtime(entrypoint=str(file) if file.is_file() else None)


def _read_permissions(section: Section, kind: str) -> None:
    section.texts("permissions")
    if section.has("permissions"):
        message = f"permissions has no effect: {kind} has none that could be given"
        section.warn(message, "permissions")


def refusal(runtime: Runtime) -> str:
    """Return why no tool of the project can be called at all, or the empty text."""
    if runtime.entrypoint is None:
        where = "write them in tools.py, or name" if runtime.type == "python" else "name"
        return f"the project has no tools: {where} 'runtime.entrypoint'"
    if runtime.type == "python":
        return ""
    from appliance.tools import scripts

    return scripts.problem(runtime.type, Path(runtime.entrypoint))


def read_functions(runtime: Runtime, name: str, problems: Problems) -> dict[str, Signature] | None:
    """Return the functions of the entrypoint, which is shown as *name*; None where nobody knows."""
    from appliance.tools import introspect

    if runtime.type != "python" or runtime.entrypoint is None:
        return None
    entrypoint = Path(runtime.entrypoint)
    if not entrypoint.is_file():
        return None
    try:
        return introspect.functions(entrypoint)
    except InvalidInput as error:
        line, column = error.details.get("line", 0), error.details.get("column", 0)
        message = error.message.removeprefix(f"{entrypoint}:").removeprefix(f"{line}:{column}:")
        problems.add(Problem(name, line, column, message.strip()))
        return None
