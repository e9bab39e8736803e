"""S7: no path leads out. Every name in an address and every path of a native tool, 237 spellings."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.machine import needs

from .opened import outside, watched, watching
from .traversal import CORPUS
from .twins import API, HOOK_SECRET, Twins
from .wire import Answer

SECRET = "a-file-that-nobody-may-see"


def targets(both: Twins) -> list[tuple[str, str]]:
    """Return every method with every address in which a name was replaced."""
    described: dict[str, Any] = both.ask("GET", "/openapi.json")["sqlite"].json["paths"]
    described[f"{API}/hooks/{{slug}}"] = {"post": {}}
    return [
        (
            method.upper() if not path.endswith("/stream") else "HEAD",
            path[: found.start()] + text + path[found.end() :],
        )
        for path, methods in described.items()
        for found in re.finditer(r"{\w+}", path)
        for method in methods
        for text in CORPUS
    ]


def tells(answer: Answer, admin_key: str) -> bool:
    """Tell whether an answer holds what stands in a file."""
    held = (
        b"root:x:0",
        b"root:*:0",
        HOOK_SECRET.encode(),
        admin_key.encode(),
        b"PATH=/",
        b"SQLite format",
    )
    return any(text in answer.body for text in held)


def test_the_corpus_is_long() -> None:
    """As many as the other tests say."""
    assert 237 == len(CORPUS)


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.reliability)])
def test_no_address_leads_to_a_file(both: Twins, tmp_path: Path, every: int) -> None:
    """Not found, not valid or not possible, never what a file holds; and no file was opened for it."""
    needs("strace")
    server, log = both.servers["sqlite"], tmp_path / "opened"
    wrong = []
    with watching(both.pids["sqlite"], log):
        for method, target in targets(both)[::every]:
            body = b"{}" if method in {"POST", "PUT", "PATCH"} else None
            data = target.replace(" ", "%20").replace("\\", "%5c").encode()
            for name, answer in both.ask(method, data, body, only="sqlite").items():
                if answer.status >= 500 or tells(answer, server.admin_key):
                    wrong.append(f"{method} {target} on {name}: {answer.status}")
    assert [] == wrong
    assert [] == outside(log, server.home)


def test_no_address_is_another_on_postgresql(both: Twins) -> None:
    """A part of the same, for the database has no part in it."""
    for method, target in targets(both)[::211]:
        body = b"{}" if method in {"POST", "PUT", "PATCH"} else None
        data = target.replace(" ", "%20").replace("\\", "%5c").encode()
        answers = both.ask(method, data, body)
        assert {False} == {answer.status >= 500 for answer in answers.values()}, (method, target)
        assert 1 == len({answer.status for answer in answers.values()}), (method, target)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.reliability)])
def test_no_path_leads_a_native_tool_out(tmp_path: Path, every: int) -> None:
    """Reading, writing, listing, searching and deleting stay inside, as the kernel saw it."""
    needs("strace")
    root, elsewhere, log = tmp_path / "root", tmp_path / "elsewhere", tmp_path / "opened"
    for directory in (root / "etc", elsewhere / "data"):
        directory.mkdir(parents=True)
    for name in ("etc/passwd", "data/admin.key", ".env", "app.db", "compozy.yaml"):
        beside = tmp_path / name
        beside.parent.mkdir(exist_ok=True)
        beside.write_text(SECRET)
    (root / "link").symlink_to(elsewhere)
    before = _inventory(tmp_path, root)
    done = watched([sys.executable, "-m", "tests.security.prying", str(root), str(every)], log)
    attempts = json.loads(done.stdout)
    assert len(attempts) > 7 * 237 / every
    assert [] == [attempt for attempt in attempts if SECRET in attempt[2]]
    assert {"PermissionDenied", "FileNotFound", "InvalidArgument"} <= {each[2] for each in attempts}
    assert [] == outside(log, root)
    assert before == _inventory(tmp_path, root)


def _inventory(home: Path, root: Path) -> dict[str, str]:
    """Return every file beside the root, with its content."""
    return {
        str(path): path.read_text()
        for path in home.rglob("*")
        if path.is_file() and root not in path.parents and path.name != "opened"
    }


def test_a_program_that_follows_paths_is_caught(tmp_path: Path) -> None:
    """This test can fail: whoever joins a directory and a name is seen outside of it."""
    needs("strace")
    (tmp_path / "root").mkdir()
    follow = "import sys; [open(sys.argv[1] + path).read(1) for path in ('/../secret', '/../../../../../../etc/passwd')]"
    (tmp_path / "secret").write_text(SECRET)
    watched([sys.executable, "-c", follow, str(tmp_path / "root")], tmp_path / "opened")
    found = outside(tmp_path / "opened", tmp_path / "root")
    assert [str(tmp_path / "secret")] == [path for path in found if "/secret" in path]
    assert tells(Answer(200, b"", Path("/etc/passwd").read_bytes()), "none")
