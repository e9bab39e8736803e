"""A20: files of settings and secrets that are cut short, empty, or full of what is not theirs.

So a crash leaves files that an editor or `cp` had just written. Each is read whole or refused with
its name and the line; nothing is ever taken for half of what it says. What the server itself writes
is replaced at one go: the power cuts of A3 and A4 hit that too.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings, load
from appliance.errors import ApplianceError
from appliance.language.loader import load_project

from .serving import ROOT, Server
from .tiers import sized
from .verdict import Verdict

STEP = sized(7, 1, 1)
"""Every file is cut at each so many bytes."""
SOME = sized(1, 4, 4)

SETTINGS = b"""name: torn
server: { port: 5010, host: 127.0.0.1 }
database:
  path: kept.db
runtime:
  type: python
workflows:
  - source: ./flow.yaml
"""
FLOW = b"""id: flow
config: { input: { type: object, properties: { who: { type: string } } } }
tasks:
  - id: first
    type: wait
    wait_for: "go on"
    condition: "true"
    timeout: 1h
    on_success: { next: second }
  - id: second
    type: signal
    signal: { id: gone, payload: { "who": "{{ .workflow.input.who }}" } }
"""
VARIABLES = b"""# secrets
export SERVER_PORT=5011
RUNTIME_LOG_LEVEL="debug" # a comment
OTHER='text with = and #'
"""
FILES = {"compozy.yaml": SETTINGS, "flow.yaml": FLOW, ".env": VARIABLES}


def torn(whole: bytes, dice: random.Random) -> Iterator[bytes]:
    """Yield what a crash may have left of a file: cut short, filled up with zeros, or with noise."""
    for cut in range(0, len(whole), STEP):
        yield whole[:cut]
        yield whole[:cut] + bytes(len(whole) - cut)
        yield whole[:cut] + dice.randbytes(len(whole) - cut)


def read(directory: Path, name: str, findings: list[str]) -> bool:
    """Read everything in *directory*; return whether it was accepted. *name* is the file that is torn.

    A refusal without the name of the file, and any other error, is a finding.
    """
    try:
        loaded = load({}, directory, {})
        load_project(directory, loaded.env)
    except ApplianceError as error:
        told = " ".join([error.message, *map(str, error.details.get("problems", []))])
        if name not in told and "flow.yaml" not in told:
            findings.append(f"{name} was torn, and what is said is: {told}")
        return False
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        findings.append(f"{name} was torn, and that raised {type(error).__name__}: {error}")
    return True


@pytest.mark.parametrize("name", FILES)
def test_a_torn_file_is_refused_by_its_name(
    tmp_path: Path, seed: str, name: str, conclude: Callable[[Verdict], None]
) -> None:
    """Cut anywhere, filled with zeros or with noise: it is read, or refused with its name."""
    verdict = Verdict(f"A20 torn {name}")
    for each, whole in FILES.items():
        (tmp_path / each).write_bytes(whole)
    assert read(tmp_path, name, verdict.findings.corrupt), verdict.findings.corrupt
    refused = 0
    for left in torn(FILES[name], random.Random(seed)):
        (tmp_path / name).write_bytes(left)
        refused += not read(tmp_path, name, verdict.findings.corrupt)
        verdict.faults += 1
    assert refused > verdict.faults // 3
    conclude(verdict)


def test_a_torn_key_is_told_from_a_wrong_one(
    tmp_path: Path, sqlite_settings: DatabaseSettings, seed: str
) -> None:
    """The server starts; whoever uses half a key hears that it is damaged and how to get another."""
    server = Server(tmp_path, sqlite_settings)
    with server.running():
        whole = server.admin_key
    key = tmp_path / "data" / "admin.key"
    leftovers = [b"", whole[:20].encode(), bytes(len(whole)), b"\xff" * len(whole)]
    for left in random.Random(seed).sample(leftovers, SOME):
        key.write_bytes(left)
        told = _command_line(tmp_path, sqlite_settings, "workflow", "list")
        assert 77 == told.returncode, told.stderr
        assert f"{key} is damaged" in told.stderr
        assert "auth bootstrap --force" in told.stderr
    assert 0 == _command_line(tmp_path, sqlite_settings, "auth", "bootstrap", "--force").returncode
    with server.running():
        assert server.call("GET", "/users")["users"]


def _command_line(
    home: Path, settings: DatabaseSettings, *words: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appliance", *words],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "DATABASE_URL": settings.path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
