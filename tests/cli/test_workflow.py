"""Rules of `workflow` and `exec` where no server runs: the same work is done in this process."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Terminal

TOOLS = """
def echo(**values) -> dict:
    return values

def fail(reason: str) -> dict:
    raise ValueError(reason)
"""
FLOW = """
id: flow
tasks:
  - id: group
    type: parallel
    tasks:
      - {id: inner, tool: echo, with: {n: "{{ .workflow.input.n }}", t: "{{ .workflow.input.t }}"}}
    on_success: {next: last}
  - {id: last, tool: echo, with: {n: "{{ .tasks.group.output }}"}}
outputs: {n: "{{ .workflow.input.n }}", t: "{{ .workflow.input.t }}"}
"""
FAILING = """
id: failing
config: {retry_policy: {maximum_attempts: 1}}
tasks:
  - {id: a, tool: fail, with: {reason: "no \\e[31mway"}}
"""


@pytest.fixture
def project(terminal: Terminal) -> Terminal:
    """A terminal in a project."""
    files = {
        "compozy.yaml": "name: p\nworkflows: [{source: flow.yaml}, {source: failing.yaml}]\n",
        "tools.py": TOOLS,
        "flow.yaml": FLOW,
        "failing.yaml": FAILING,
    }
    for name, text in files.items():
        (terminal.directory / name).write_text(text)
    return terminal


def test_sample(terminal: Terminal) -> None:
    """In an empty directory the sample runs, and everything it leaves is in data/."""
    assert {"greeting": "Hello, Ada!"} == terminal.json(
        "workflow", "run", "hello", "--input", "name=Ada"
    )
    assert ["data"] == [entry.name for entry in terminal.directory.iterdir()]


def test_inputs(project: Terminal) -> None:
    """Input is text with =, JSON with :=, or a file; single values win over the file."""
    run = ("workflow", "run", "flow")
    assert {"n": 5, "t": "5"} == project.json(*run, "--input", "n:=5", "--input", "t=5")
    (project.directory / "in.json").write_text('{"n": [1, {"a": null}], "t": "x=y"}')
    from_file = project.json(*run, "--input-file", "in.json")
    assert {"n": [1, {"a": None}], "t": "x=y"} == from_file
    both = project.json(*run, "--input-file", "-", "--input", "t=", stdin='{"n": 1, "t": 2}')
    assert {"n": 1, "t": ""} == both


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--input", "n"], 64),
        (["--input", "=5"], 64),
        (["--input", ":=5"], 64),
        (["--input", "n:=x"], 64),
        (["--input-file", "-"], 64),
        (["--input-file", "none.json"], 74),
        (["--detach"], 64),
    ],
    ids=str,
)
def test_wrong_inputs(project: Terminal, words: list[str], code: int) -> None:
    """What cannot be read is one sentence, and nothing runs."""
    assert 1 == project.fails(code, "workflow", "run", "flow", *words).count("\n")


def test_failed_run(project: Terminal) -> None:
    """A run that fails is 1 with its reason, and cannot steer the terminal."""
    message = project.fails(1, "workflow", "run", "failing")
    assert "ended FAILED" in message
    assert "no \\x1b[31mway" in message


def test_unknown_workflow(project: Terminal) -> None:
    """A workflow that does not exist is 66 and names those that do."""
    assert "failing, flow" in project.fails(66, "workflow", "run", "a b?c")


def test_invalid_input(terminal: Terminal) -> None:
    """Input that the workflow refuses is 65 and names the field."""
    assert "name" in terminal.fails(65, "workflow", "run", "hello", "--input", "name:=5")


def test_list_and_get(project: Terminal) -> None:
    """The workflows of the project can be listed and shown."""
    table = project.ok("workflow", "list", "-o", "table").splitlines()
    assert ["failing", "flow"] == [line.split()[0] for line in table[1:]]
    assert "group" == project.json("workflow", "get", "flow")["tasks"][0]["id"]
    assert "task_count   2\n" in project.ok("workflow", "get", "flow", "-o", "table")


def test_project_option(project: Terminal) -> None:
    """Another project, or one file, can be run from here, with the data directory of this place."""
    project.ok("init", "other")
    output = project.json("workflow", "run", "main", "--project", "other")
    assert {"message": "Hello, World!"} == output
    assert 1 == len(project.json("exec", "list"))
    assert not (project.directory / "other/data").exists()


def test_runs(project: Terminal) -> None:
    """Runs can be listed, filtered and shown, with their tasks as paths."""
    project.json("workflow", "run", "flow", "--input", "n:=1", "--input", "t=x")
    project.fails(1, "workflow", "run", "failing")
    runs = project.json("exec", "list")
    assert ["failing", "flow"] == [run["workflow_id"] for run in runs]
    assert 1 == len(project.json("exec", "list", "--limit", "1"))
    failed = project.json("exec", "list", "--status", "failed")
    assert ["failing"] == [run["workflow_id"] for run in failed]
    (run,) = project.json("exec", "list", "--workflow", "flow")
    exec_id = run["workflow_exec_id"]
    shown = project.json("exec", "get", exec_id)
    assert {"n": 1, "t": "x"} == shown["output"]
    table = project.ok("exec", "get", exec_id, "-o", "table")
    assert "\ngroup/inner  " in table
    project.fails(66, "exec", "get", "nonsense")


def test_watch(project: Terminal) -> None:
    """Watching shows a line for each state; the exit code tells how the run ended."""
    project.json("workflow", "run", "flow", "--input", "n:=1", "--input", "t=x")
    (run,) = project.json("exec", "list")
    lines = project.ok("exec", "watch", run["workflow_exec_id"]).splitlines()
    assert ["group SUCCESS", "group/inner SUCCESS", "last SUCCESS", "flow SUCCESS"] == lines
    project.fails(1, "workflow", "run", "failing")
    failed = project.json("exec", "list")[0]["workflow_exec_id"]
    result = project.run("exec", "watch", failed)
    assert 1 == result.exit_code
    assert "ended FAILED" in result.stderr


def test_cancel_of_what_ended(project: Terminal) -> None:
    """A run that has ended cannot be cancelled (65)."""
    project.fails(1, "workflow", "run", "failing")
    (run,) = project.json("exec", "list")
    assert "ended already" in project.fails(65, "exec", "cancel", run["workflow_exec_id"])


def test_idempotency_key(project: Terminal) -> None:
    """The same key and input start one run."""
    words = ("workflow", "run", "flow", "--idempotency-key", "k", "--input", "n:=1")
    first = project.json(*words, "--input", "t=x")
    assert first == project.json(*words, "--input", "t=x")
    assert 1 == len(project.json("exec", "list"))
    assert "another request" in project.fails(65, *words, "--input", "t=y")


def test_yaml_output(project: Terminal) -> None:
    """The output of a run may be YAML."""
    text = project.ok("workflow", "run", "flow", "--input", "n:=1", "--input", "t=é", "-o", "yaml")
    assert "n: 1\nt: é\n" == text


def test_broken_project(project: Terminal) -> None:
    """A project with errors does not run, and says all of them."""
    (project.directory / "flow.yaml").write_text("id: flow\ntasks: 5\n")
    assert "flow.yaml:2:" in project.fails(65, "workflow", "run", "flow")


def test_admin_key_was_lost(terminal: Terminal) -> None:
    """Without the admin key the owner is told how to make a new one, and that works."""
    terminal.ok("exec", "list")
    (terminal.directory / "data/admin.key").unlink()
    assert "auth bootstrap --force" in terminal.fails(77, "exec", "list")
    terminal.ok("auth", "bootstrap", "--force")
    assert [] == json.loads(terminal.ok("exec", "list"))
