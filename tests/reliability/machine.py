"""What this machine can do. A scenario that needs more is skipped by name, with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest


def needs(*means: str) -> None:
    """Skip the scenario, with the reason, where one of these is missing on this machine."""
    for name in means:
        reason = _missing(name)
        if reason:
            pytest.skip(f"this machine cannot do that: {reason}")


def memory_or(place: Path) -> Path:
    """Return a directory that is in memory where there is one, otherwise *place*."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) else place


def _root() -> str:
    return "" if os.geteuid() == 0 else "it takes root"


def _strace() -> str:
    if shutil.which("strace") is None:
        return "there is no strace"
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "true"], check=False, capture_output=True
    )
    return "" if tried.returncode == 0 else "strace may not trace here"


def _mounting(kind: str, *mount: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        tried = subprocess.run(
            ["mount", *mount, scratch], check=False, capture_output=True, text=True
        )
        if tried.returncode:
            return f"a {kind} cannot be mounted ({tried.stderr.strip()})"
        subprocess.run(["umount", scratch], check=True)
        return ""


def _tmpfs() -> str:
    return _root() or _mounting("tmpfs", "-t", "tmpfs", "none")


def _ext4() -> str:
    return _file_system("ext4", "16M")


def _xfs() -> str:
    return _file_system("xfs", "320M")


def _file_system(kind: str, size: str) -> str:
    if reason := _root():
        return reason
    maker = shutil.which(f"mkfs.{kind}")
    if maker is None:
        return f"there is no mkfs.{kind}"
    with tempfile.NamedTemporaryFile() as image:
        subprocess.run(["truncate", "-s", size, image.name], check=True)
        subprocess.run([maker, "-q", image.name], check=True, capture_output=True)
        return _mounting(kind, "-o", "loop", image.name)


def _command(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"there is no {name}"


def _memory_cgroup() -> str:
    place = Path("/sys/fs/cgroup/memory")
    return _root() or ("" if os.access(place, os.W_OK) else f"{place} cannot be written")


_MEANS: dict[str, Callable[[], str]] = {
    "root": _root,
    "strace": _strace,
    "tmpfs": _tmpfs,
    "ext4": _ext4,
    "xfs": _xfs,
    "memory cgroup": _memory_cgroup,
    "prlimit": _command("prlimit"),
    "setpriv": _command("setpriv"),
}


@cache
def _missing(name: str) -> str:
    return _MEANS[name]()
