"""Rules of `init` and `validate`."""

from __future__ import annotations

import pytest
import yaml

from tests.cli.conftest import Terminal


def test_scaffold_runs_as_it_is(terminal: Terminal) -> None:
    """A new project is valid and its workflow runs without another step."""
    assert "workflow run main --cwd demo --input name=Ada" in terminal.ok("init", "demo")
    assert "demo is valid: 1 workflow(s): main." in terminal.ok("validate", "demo")
    output = terminal.json("workflow", "run", "main", "--cwd", "demo", "--input", "name=Ada")
    assert {"message": "Hello, Ada!"} == output


def test_files(terminal: Terminal) -> None:
    """A new project has what a newcomer looks for, and ignores what must not be committed."""
    terminal.ok("init", "--name", "x", "--description", 'a "quoted": one')
    files = {str(p.relative_to(terminal.directory)) for p in terminal.directory.rglob("*.*")}
    assert {
        ".env.example",
        ".gitignore",
        "README.md",
        "compozy.yaml",
        "tools.py",
        "workflows/main.yaml",
    } == files
    project = yaml.safe_load((terminal.directory / "compozy.yaml").read_text())
    assert ("x", 'a "quoted": one') == (project["name"], project["description"])
    assert {"data/", ".env"} <= set((terminal.directory / ".gitignore").read_text().split())
    assert (terminal.directory / "README.md").read_text().startswith("# x\n")


def test_nothing_is_overwritten(terminal: Terminal) -> None:
    """When one of the files exists, nothing is written."""
    (terminal.directory / "README.md").write_text("mine")
    assert "there is already: README.md" in terminal.fails(64, "init")
    assert ["README.md"] == [file.name for file in terminal.directory.iterdir()]


@pytest.mark.parametrize("words", [["--name", "a b"], ["--description", "a\nb"]])
def test_wrong_names(terminal: Terminal, words: list[str]) -> None:
    """A name that would not be one in YAML is refused."""
    terminal.fails(64, "init", *words)


def test_invalid_project(terminal: Terminal) -> None:
    """Every problem is one line with its place, and the exit code is 65."""
    terminal.ok("init", "demo")
    file = terminal.directory / "demo/workflows/main.yaml"
    file.write_text(file.read_text().replace("tool: greet", "tool: great\n    bogus: 1"))
    problems = terminal.fails(65, "validate", "demo").splitlines()
    assert [] == [line for line in problems[:-1] if not line.startswith("workflows/main.yaml:")]
    assert len(problems) > 2
    assert problems[-1].startswith("error: ")


def test_validate_guards_the_vector_database(terminal: Terminal) -> None:
    """SQLite with pgvector in the project itself is refused (78)."""
    terminal.ok("init")
    with (terminal.directory / "compozy.yaml").open("a") as file:
        file.write("vector_dbs:\n  - {id: v, type: pgvector, config: {dimension: 3}}\n")
    assert "qdrant, redis or filesystem" in terminal.fails(78, "validate").splitlines()[-1]


def test_validate_single_file(terminal: Terminal) -> None:
    """One workflow file is a project too."""
    (terminal.directory / "tools.py").write_text("def f() -> int:\n    return 1\n")
    (terminal.directory / "one.yaml").write_text("id: one\ntasks:\n  - {id: a, tool: f}\n")
    assert "1 workflow(s): one." in terminal.ok("validate", "one.yaml")


@pytest.mark.parametrize("kind", ["qdrant", "redis", "filesystem"])
def test_knowledge_map(terminal: Terminal, kind: str) -> None:
    """The documented map form of knowledge loads, and its vector databases count."""
    terminal.ok("init")
    file = terminal.directory / "compozy.yaml"
    text = file.read_text() + "knowledge:\n  vector_dbs:\n    - {id: v, provider: KIND, path: x}\n"
    file.write_text(text.replace("KIND", kind))
    assert " is valid: " in terminal.ok("validate")
    file.write_text(text.replace("KIND", "pgvector"))
    assert "incompatible with SQLite" in terminal.fails(78, "validate")
