"""Builds dist/compozy.pyz for the Python and the processor that run this.

The same sources, lock file and tools give the same file, byte by byte.

    python packaging/build.py [output]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import boot
from shiv import __version__ as shiv_version
from shiv.bootstrap.environment import Environment
from shiv.builder import create_archive

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "dist" / "compozy.pyz"
SHEBANG = "/usr/bin/env -S python3 -IS"  # isolated: no foreign packages, no PYTHON* variables
BUILT_AT = "1980-01-01 00:00:00"  # the oldest time that .zip knows, so that no build has its own

LEFT_OUT = {
    "faker": "makes up examples for OpenAPI, which we write ourselves",
    "polyfactory": "makes up examples for OpenAPI, which we write ourselves",
    "litestar-htmx": "a plugin that we do not use",
    "rich-click": "for the command line of Litestar, which we do not ship",
    "typer": "for the command line of the CEL library",
    "shellingham": "needed by typer alone",
    "annotated-doc": "needed by typer alone",
    "pydantic": "needed by typer alone",
    "pydantic-core": "needed by typer alone",
    "annotated-types": "needed by typer alone",
    "typing-inspection": "needed by typer alone",
    "prompt-toolkit": "for the command line of the CEL library",
    "wcwidth": "needed by prompt-toolkit alone",
    "pygments": "colours source code in rich, which we never print",
    "markdown-it-py": "renders Markdown in rich, which we never print",
    "mdurl": "needed by markdown-it-py alone",
    "pycparser": "needed by cffi to compile, never to run",
}
"""Distributions that are locked, since others ask for them, but never imported: name -> reason."""

DROPPED = {
    "bin": "scripts that name the Python of the builder",
    "*.dist-info/INSTALLER": "differs between installers",
    "*.dist-info/RECORD": "lists files that are gone",
    "*.dist-info/REQUESTED": "says nothing at run time",
    "cel/cli.py": "the command line of the CEL library",
    "litestar/cli": "the command line of Litestar",
    "litestar/testing": "a test client",
    "*/tests": "tests of others",
    "*.pyi": "read by type checkers alone",
    "*.c": "source of what is compiled already",
    "*.h": "source of what is compiled already",
    "*.pyx": "source of what is compiled already",
    "*.pxd": "source of what is compiled already",
    "*/__pycache__": "made again at run time",
}
"""Files and directories: pattern -> reason."""


def main() -> None:
    """Build the file that the command line names, dist/compozy.pyz if it names none."""
    output = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else OUTPUT
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory, "site-packages")
        _install(tree)
        _drop(tree)
        _strip(tree)
        _add_program(tree)
        _normalise(tree)
        _pack(tree, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB for {boot.target()}")


def _install(tree: Path) -> None:
    """Install what the lock file names and we need, by hash, from wheels alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write(_needed((ROOT / "requirements" / "runtime.lock").read_text("utf-8")))
        lock.flush()
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        flags = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile"]
        subprocess.run([*pip, *flags, "--target", tree, "--requirement", lock.name], check=True)


def _needed(lock: str) -> str:
    """Return *lock* without the distributions that are left out, all of which must be in it."""
    entries = {
        part.partition("==")[0]: part for part in re.split(r"^(?=\w)", lock, flags=re.MULTILINE)
    }
    for name in LEFT_OUT:
        del entries[name]
    return "".join(entries.values())


def _drop(tree: Path) -> None:
    for path in sorted(tree.rglob("*"), reverse=True):
        relative = path.relative_to(tree).as_posix()
        if any(fnmatch(relative, pattern) for pattern in DROPPED):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _strip(tree: Path) -> None:
    """Take the symbols out of compiled modules: they are most of their size."""
    strip = shutil.which("strip")
    if strip is None:
        print("note: there is no `strip` here, so the file becomes larger; install binutils.")
        return
    modules = [path for path in tree.rglob("*") if path.is_file() and ".so" in path.suffixes]
    subprocess.run([strip, "--strip-unneeded", *modules], check=True)


def _add_program(tree: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "appliance", tree / "appliance", ignore=ignore)
    shutil.copytree(ROOT / "migrations", tree / "appliance" / "migrations", ignore=ignore)


def _normalise(tree: Path) -> None:
    """Make modes independent of the umask of the builder: they are part of the archive."""
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _pack(tree: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.tmp")
    environment = Environment(
        built_at=BUILT_AT,
        shiv_version=shiv_version,
        entry_point="appliance.__main__:main",
        compile_pyc=False,
        reproducible=True,
    )
    create_archive([tree], temporary, SHEBANG, "boot:main", environment)
    with zipfile.ZipFile(temporary, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("boot.py"), Path(boot.__file__).read_bytes())
        archive.writestr(zipfile.ZipInfo("target"), boot.target())
    temporary.chmod(0o755)
    temporary.replace(output)


if __name__ == "__main__":
    main()
