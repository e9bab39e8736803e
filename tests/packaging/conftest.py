"""The file as users get it, built once for all tests of a session."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.program import ROOT, Program


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of one test session share."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pyz"
    place.mkdir(exist_ok=True)
    return place


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    """A copy of what the file is built from, made and built by whichever process comes first."""
    copy = shared / "source"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (copy / "dist").exists():
            shutil.rmtree(copy, ignore_errors=True)
            for part in ("appliance", "migrations", "packaging", "requirements"):
                shutil.copytree(ROOT / part, copy / part)
            subprocess.run([sys.executable, copy / "packaging" / "build.py"], check=True)
    return copy


@pytest.fixture(scope="session")
def pyz(source: Path) -> Path:
    """compozy.pyz as `make pyz` builds it."""
    return source / "dist" / "compozy.pyz"


@pytest.fixture
def program(pyz: Path, shared: Path, tmp_path: Path) -> Program:
    """The program in an empty directory, unpacked at most once."""
    return Program(pyz, tmp_path, shared / "unpacked")
