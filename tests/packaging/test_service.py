"""The unit for systemd is right and as hard as it can be."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.errors import InvalidConfiguration, Locked, StorageBroken, Unavailable, UsageError
from tests.packaging.program import ROOT

UNIT = ROOT / "systemd" / "compozy.service"
LINE = re.compile(r"\[(Unit|Service|Install)\]|[A-Z]\w+=.*|#.*|")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed; install systemd to check the unit",
)


def value(key: str) -> str:
    """The one value of a key."""
    (found,) = re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(found)


def test_unit_is_well_formed() -> None:
    """Every line is a section, a setting or a comment, and no section is missing."""
    lines = UNIT.read_text().splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert [line for line in lines if line.startswith("[")] == ["[Unit]", "[Service]", "[Install]"]


def test_unit_keeps_the_promises() -> None:
    """Readiness, watchdog, private directories, and the place where the file unpacks itself."""
    assert (value("Type"), int(value("WatchdogSec")) > 0) == ("notify", True)
    assert (value("StateDirectory"), value("StateDirectoryMode")) == ("compozy", "0700")
    assert value("WorkingDirectory") == f"%S/{value('StateDirectory')}"
    assert value("Environment") == f"SHIV_ROOT=%C/{value('CacheDirectory')}"
    assert value("SystemCallErrorNumber") == "EPERM"


def test_mistakes_are_not_repeated() -> None:
    """What only a person can mend stops the service; what may pass is tried again."""
    final = {int(code) for code in value("RestartPreventExitStatus").split()}
    assert final >= {UsageError.exit_code, InvalidConfiguration.exit_code}
    assert final & {0, StorageBroken.exit_code, Unavailable.exit_code, Locked.exit_code} == set()


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here."""
    path = tmp_path / "compozy.service"
    path.write_text(
        UNIT.read_text().replace("/opt/compozy/compozy.pyz", shutil.which("true") or "")
    )
    return path


@needs_systemd
def test_systemd_understands_every_line(unit: Path) -> None:
    """A misspelt key only makes systemd grumble, so nothing may be grumbled."""
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    grumbles = [line for line in run.stderr.splitlines() if unit.name in line]
    assert (run.returncode, grumbles) == (0, [])


@needs_systemd
def test_exposure_is_low(unit: Path) -> None:
    """The score of `systemd-analyze security`, 0.0 to 10.0, is at most 1.5."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    score = re.search(r"exposure level for compozy\.service: ([\d.]+)", run.stdout)
    assert score is not None, run.stderr
    assert float(score[1]) <= 1.5
