"""Tools in JavaScript and TypeScript: the programs that run them, and what each can run."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from appliance.errors import InvalidInput

WORKER = Path(__file__).parent / "script" / "worker.mjs"

TYPED = (".ts", ".mts")
ENDINGS = (".js", ".mjs", ".cjs", *TYPED)
"""How the name of an entrypoint may end."""

HOMES = {"node": "https://nodejs.org", "bun": "https://bun.sh"}

OLDEST_NODE = (20, 0)


def installed(kind: str) -> Path | None:
    """Return where the program *kind* (`node`, `bun`) is on the PATH; None where it is not."""
    found = shutil.which(kind)
    return Path(found).absolute() if found else None


def problem(kind: str, entrypoint: Path) -> str:
    """Say in a clause why *kind* cannot run *entrypoint* here; empty when it can."""
    if entrypoint.suffix not in ENDINGS:
        return f"the entrypoint {entrypoint.name!r} must end in one of {', '.join(ENDINGS)}"
    program = installed(kind)
    if program is None:
        return f"the runtime needs {kind}, which is not on the PATH; {_remedy(kind)}"
    return _problem_of_node(program, entrypoint) if kind == "node" else ""


def command(kind: str, entrypoint: Path, memory_limit: int) -> tuple[str, ...]:
    """Return the command of a worker, its heap bounded to *memory_limit* bytes where one can be.

    Raises InvalidInput when *kind* cannot run *entrypoint* here.
    """
    program = installed(kind)
    what = problem(kind, entrypoint)
    if program is None or what:
        raise InvalidInput(what)
    options = _node_options(entrypoint, memory_limit) if kind == "node" else _BUN_OPTIONS
    return (str(program), *options, str(WORKER), str(entrypoint))


_BUN_OPTIONS = ("--no-install", "--env-file=/dev/null")
"""What a server runs comes from no registry, and secrets in a `.env` file are not for every tool."""


def _node_options(entrypoint: Path, memory_limit: int) -> list[str]:
    options = [f"--max-old-space-size={memory_limit >> 20}"] if memory_limit else []
    if entrypoint.suffix in TYPED:  # each worker would say in the log that types are experimental
        options.append("--disable-warning=ExperimentalWarning")
    return options


def _remedy(kind: str) -> str:
    other = "bun" if kind == "node" else "node"
    found = installed(other)
    instead = f", or write 'type: {other}' to use {found}" if found else ""
    return f"install it ({HOMES[kind]}){instead}"


def _problem_of_node(program: Path, entrypoint: Path) -> str:
    version = _version(program)
    if version is None:
        return f"{program} does not say its version, so it is not Node.js; install it anew"
    written = ".".join(map(str, version))
    if version < OLDEST_NODE:
        return f"{program} is version {written}; install Node.js 20 or newer"
    if entrypoint.suffix in TYPED and not strips_types(version):
        return (
            f"{program} is version {written} and cannot run {entrypoint.suffix} files; "
            "install Node.js 22.18 or newer, write 'type: bun', or compile the file to .js"
        )
    return ""


def strips_types(version: tuple[int, int]) -> bool:
    """Tell whether a Node.js of this version runs TypeScript as it is."""
    return version >= (23, 6) or (22, 18) <= version < (23, 0)


@cache
def _version(program: Path) -> tuple[int, int] | None:
    """Return the major and the minor version of a Node.js, or None when it does not say."""
    try:
        said = subprocess.run(  # noqa: S603 - a program on the PATH, as the project asks for
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v(\d+)\.(\d+)\.", said)
    return (int(found[1]), int(found[2])) if found else None
