"""Every example is followed as its README says, those that wait or remember on both databases."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from tests.examples.newcomer import ROOT, Newcomer, newcomer
from tests.examples.reading import fits, steps
from tests.tools.scripting import PROGRAMS

EXAMPLES = ROOT / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
LINK = re.compile(r"\]\(((?!http)[^)#]+)(?:#[^)]*)?\)")
ELSEWHERE = {"memory": ("curl",), "webhook": ("curl", "openssl")}
"""Programs that a README asks for and that no Python package brings along."""


ON_BOTH = ("approval", "memory", "nested", "schedules", "signals", "webhook")
WAYS = [(name, "sqlite") for name in NAMES] + [(name, "postgres") for name in ON_BOTH]


@pytest.fixture
def database(kind: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """What to say in the terminal of the server, so that it has a database of this kind."""
    if kind == "sqlite":
        return {}
    settings: DatabaseSettings = request.getfixturevalue("empty_postgres")
    return {"DB_CONN_STRING": settings.conninfo}


@pytest.fixture
def somebody(
    example: str, tmp_path: Path, database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Newcomer]:
    for program in ELSEWHERE.get(example, ()):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on the PATH")
    programs = (str(PROGRAMS["node"] / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
    monkeypatch.setenv("PATH", ":".join(programs))
    home = shutil.copytree(
        EXAMPLES / example, tmp_path / example, ignore=shutil.ignore_patterns("data", ".env")
    )
    with newcomer(home, tmp_path, database) as reader:
        yield reader


@pytest.mark.parametrize(("example", "kind"), WAYS)
def test_an_example_does_what_its_readme_says(
    example: str, somebody: Newcomer, database: dict[str, str]
) -> None:
    """Every command can be typed as it stands there, and shows what stands there."""
    started = 0
    for step in steps((EXAMPLES / example / "README.md").read_text()):
        seen = somebody.type(step.typed)
        assert fits(seen, step.seen), f"{step.typed}\nshows\n{seen}\nnot\n{step.seen}"
        if step.starts:
            somebody.start()
            started += 1
    assert started
    assert (somebody.home / "data" / "app.db").exists() is not bool(database)


def test_what_is_seen_is_held_against_what_is_shown() -> None:
    """A line more, a line less or another word is not what the README says."""
    shown = "RUN  STATUS\n…    SUCCESS\n…\nend\n"
    assert fits("RUN   STATUS\n01a1  SUCCESS  \nend\n", shown)
    assert fits("RUN   STATUS\n01a1  SUCCESS\none\ntwo\nend\n", shown)
    for other in ("RUN STATUS\n1 FAILED\nend\n", "RUN STATUS\n1 SUCCESS\n", "error\n", ""):
        assert not fits(other, shown)
    assert fits("", "")
    assert not fits("error: no\n", "")


def test_the_examples_of_the_language_are_there() -> None:
    """One for each of the ways in which workflows begin, wait, nest and remember."""
    assert {"nested", "schedules", "signals", "approval", "webhook", "memory"} <= {*NAMES}


@pytest.mark.parametrize("page", ["README.md", *(f"{name}/README.md" for name in NAMES)])
def test_every_link_leads_somewhere(page: str) -> None:
    """No link of a README of the examples is dead."""
    place = EXAMPLES / page
    links = LINK.findall(place.read_text())
    assert links
    assert [] == [link for link in links if not (place.parent / link).exists()]
