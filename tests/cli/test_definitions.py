"""Rules of `definitions`: what is exported is taken up again, with and without a server."""

from __future__ import annotations

import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.language import yaml
from tests.cli.conftest import Terminal
from tests.cli.test_start import Server
from tests.operations.projects import Shop

EXTRA = "{resource: workflow, id: wave, tasks: [{id: a, tool: greet, with: {name: Bob}}]}"


@pytest.fixture
def shop(terminal: Terminal) -> Shop:
    return Shop(terminal.directory)


@pytest.fixture
def empty(shop: Shop) -> Path:
    """A project with the same tools and no definitions, below the shop."""
    other = Shop(shop.directory / "empty")
    other.write("compozy.yaml", "name: empty")
    return other.directory


@pytest.fixture(params=["server", "process"])
def served(request: pytest.FixtureRequest, shop: Shop) -> Iterator[str]:
    """The same with a server that runs, and in this process."""
    if request.param == "process":
        yield "process"
        return
    server = Server(shop.directory)
    yield "server"
    server.end(signal.SIGTERM)
    assert server.process.stdout is not None
    server.process.stdout.close()


def etags(terminal: Terminal, *words: str) -> dict[str, str]:
    rows = terminal.json("definitions", "list", "-o", "json", *words)
    return {f"{row['kind']}/{row['id']}": row["etag"] for row in rows}


def test_definitions_are_taken_up_and_removed(terminal: Terminal, shop: Shop, served: str) -> None:
    """One file with a definition; it runs, is listed as of the API, and goes again."""
    shop.write("wave.yaml", EXTRA)
    done = terminal.json("definitions", "import", "wave.yaml")
    assert {"created": ["workflows/wave"], "replaced": [], "skipped": []} == done
    assert {"a": {"output": "Hello, Bob"}} == terminal.json("workflow", "run", "wave")
    rows = terminal.json("definitions", "list", "--kind", "workflows", "-o", "json")
    assert {"wave": "api", "greet": "greet.yaml"} == {r["id"]: r["defined_in"] for r in rows}

    shop.write("wave.yaml", EXTRA.replace("Bob", "Eve"))
    assert ["workflows/wave"] == terminal.json("definitions", "import", "wave.yaml")["skipped"]
    words = ("definitions", "import", "wave.yaml", "--strategy", "overwrite_conflicts")
    assert ["workflows/wave"] == terminal.json(*words)["replaced"]
    assert {"a": {"output": "Hello, Eve"}} == terminal.json("workflow", "run", "wave")

    terminal.ok("definitions", "delete", "workflows", "wave")
    assert "no workflow" in terminal.fails(66, "definitions", "delete", "workflows", "wave")


@pytest.mark.parametrize("out", ["all.yml", "out"])
def test_an_export_is_a_round_trip(terminal: Terminal, shop: Shop, empty: Path, out: str) -> None:
    """Into one file, or a directory of files: another project has the same with the same etags."""
    (shop.directory / "out").mkdir()
    terminal.ok("definitions", "export", "--out", out)
    there = ("--cwd", str(empty))
    done = terminal.json("definitions", "import", out, *there)
    assert ["schemas/person", "tools/greet", "workflows/greet"] == sorted(done["created"])
    assert etags(terminal) == etags(terminal, *there)
    assert {"said": "Hello, Ada"} == terminal.json("workflow", "run", "greet", *there)
    assert terminal.ok("definitions", "export") == terminal.ok("definitions", "export", *there)


def test_an_exported_directory_is_a_project(terminal: Terminal, shop: Shop, empty: Path) -> None:
    """Autoload finds the files; nobody but the owner reads them, for they may hold secrets."""
    terminal.ok("definitions", "export", "--out", "empty")
    modes = {stat.S_IMODE(file.stat().st_mode) for file in empty.glob("*/*.yaml")}
    assert {0o600} == modes
    autoload = 'name: empty\nautoload: {enabled: true, include: ["*/*.yaml"]}\n'
    (empty / "compozy.yaml").write_text(autoload)
    assert {"said": "Hello, Ada"} == terminal.json("workflow", "run", "greet", "--cwd", "empty")
    assert etags(terminal) == etags(terminal, "--cwd", "empty")


def test_one_kind_is_exported(terminal: Terminal, shop: Shop) -> None:
    """With `--kind` nothing else is there."""
    text = terminal.ok("definitions", "export", "--kind", "tools")
    data = yaml.load(text, "x").data
    assert {"tools": [{"id": "greet", "description": "Greets", "input": "person"}]} == data


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("id: x", 65, "neither an export nor a definition"),
        ("nonsense: []", 65, "nonsense"),
        ("tools: [{id: t, timeout: 5x}]", 65, "api:tool/t:2:1"),
        ("tools: [", 65, "file.yml"),
    ],
)
def test_what_cannot_be_taken_up(
    terminal: Terminal, shop: Shop, text: str, code: int, words: str
) -> None:
    """A sentence with the place, and nothing is stored."""
    shop.write("file.yml", text)
    assert words in terminal.fails(code, "definitions", "import", "file.yml")
    assert ["greet"] == [
        row["id"] for row in terminal.json("definitions", "list", "--kind", "tools")
    ]


def test_what_does_not_fit_any_more_can_be_mended(terminal: Terminal, shop: Shop) -> None:
    """A server refuses to start with it and says where; `definitions delete` takes it away."""
    shop.write("wave.yaml", EXTRA)
    terminal.ok("definitions", "import", "wave.yaml")
    shop.replace("tools.py", "def greet(", "def hail(")
    shop.replace("greet.yaml", "tool: greet", "tool: hail")
    shop.replace("compozy.yaml", "id: greet, description", "id: hail, description")
    assert "api:workflow/wave:" in terminal.fails(65, "start", "--port", "0")
    terminal.ok("definitions", "delete", "workflows", "wave")
    assert {"said": "Hello, Ada"} == terminal.json("workflow", "run", "greet")
