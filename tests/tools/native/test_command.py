"""Executing commands: only what is allowed, never longer or louder, and nothing is left running."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.tools.native.cell import SECRET, Cell

SHELL = ("/bin/sh", "sh", "printf", "env", "pwd")


def run(cell: Cell, script: str, **arguments: Any) -> Any:
    """Execute a line of shell and return what came of it."""
    return cell.output("exec", command="sh", args=["-c", script], **arguments)


def test_nothing_is_allowed_by_default(cell: Cell) -> None:
    """Without a list every command is refused, with the name of the setting that would allow it."""
    failure = cell.failure("exec", command="ls")

    assert ("CommandNotAllowed", False) == (failure.code, failure.retryable)
    assert "runtime.native_tools.exec.allowlist" in failure.message


@pytest.mark.parametrize(
    "command", ["ls", "/bin/../bin/sh", "./sh", "sh ", "SH", "/usr/bin/sh", "", "sh -c id"]
)
def test_only_what_is_listed_is_executed(cell: Cell, command: str) -> None:
    """A command is named exactly as the list does."""
    cell.open(commands=SHELL)

    assert "CommandNotAllowed" == cell.code("exec", command=command)


def test_a_command_is_executed(cell: Cell) -> None:
    """Exit code and both outputs; a code other than zero is a result, not a failure."""
    cell.open(commands=SHELL)

    assert {
        "exit_code": 3,
        "success": False,
        "stdout": "out",
        "stderr": "err",
        "stdout_truncated": False,
        "stderr_truncated": False,
    } == run(cell, "printf out; printf err >&2; exit 3")
    assert "a b" == cell.output("exec", command="printf", args=["%s", "a b"])["stdout"]
    assert -9 == run(cell, "kill -9 $$")["exit_code"]


def test_no_shell_reads_the_arguments(cell: Cell) -> None:
    """What would mean something to a shell is plain text."""
    cell.open(commands=SHELL)
    text = "$(id); `id` | cat > x && *"

    assert text == cell.output("exec", command="printf", args=["%s", text])["stdout"]


def test_where_it_runs(cell: Cell) -> None:
    """In the root, or in a directory of it; the jail holds for that as well."""
    (cell.root / "d").mkdir()
    (cell.root / "link").symlink_to(cell.outside)
    cell.open(commands=SHELL, protected=(str(cell.root / "data"),))
    (cell.root / "data").mkdir()

    assert f"{cell.root}\n" == cell.output("exec", command="pwd")["stdout"]
    assert f"{cell.root}/d\n" == cell.output("exec", command="pwd", working_dir="d")["stdout"]
    for place in ("..", "link", "/", "data"):
        assert "PermissionDenied" == cell.code("exec", command="pwd", working_dir=place)
    assert "InvalidArgument" == cell.code("exec", command="pwd", working_dir="note.txt")


def test_the_environment_is_clean(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sees where programs are, who and where it is, and what the call gives it."""
    for name in ("DATABASE_URL", "MY_TOKEN", "COMPOZY_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("TZ", "UTC")
    cell.env = {"FROM_PROJECT": SECRET}
    cell.open(commands=SHELL, path=os.environ["PATH"])

    found = cell.output("exec", command="env", env={"GIVEN": "yes"})["stdout"]

    assert SECRET not in found
    names = {line.partition("=")[0] for line in found.splitlines()}
    assert {"GIVEN", "TZ", "PATH"} <= names
    assert not [name for name in names - {"GIVEN"} if not name.startswith(
        ("HOME", "USER", "LOGNAME", "LANG", "LC_", "TZ", "TMPDIR", "PATH", "PWD", "SHLVL", "_")
    )]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "PATH", "PYTHONPATH", "BASH_ENV", "ENV", "GIT_SSH_COMMAND", "IFS"]
)
def test_variables_that_steer_are_refused(cell: Cell, name: str) -> None:
    """Who may call one command may not make it run another."""
    cell.open(commands=SHELL)

    assert "PermissionDenied" == cell.code("exec", command="env", env={name: "x"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"args": [1]}, "'args' must be text"),
        ({"args": ["a\0b"]}, "no text can have"),
        ({"env": {"A=B": "x"}}, "no variable can have"),
        ({"env": ["x"]}, "must be a mapping"),
        ({"timeout_ms": 0}, "from 1 to"),
        ({"timeout_ms": "5s"}, "a whole number"),
    ],
)
def test_arguments_are_checked(cell: Cell, arguments: dict[str, Any], words: str) -> None:
    """What no command can be given is refused before anything runs."""
    cell.open(commands=SHELL)

    failure = cell.failure("exec", command="env", **arguments)

    assert ("InvalidArgument", True) == (failure.code, words in failure.message)


def test_a_program_that_is_not_there(cell: Cell) -> None:
    """What is allowed may still be missing."""
    cell.open(commands=("no-such-program",))

    assert "FileNotFound" == cell.code("exec", command="no-such-program")


def test_output_is_bounded(cell: Cell) -> None:
    """What is beyond the limit is dropped and told; the command goes on to its end."""
    cell.open(commands=SHELL, max_stdout=1000, max_stderr=10)

    found = run(cell, "head -c 3000000 /dev/zero | tr '\\0' x; printf 0123456789AB >&2; exit 7")

    assert ("x" * 1000, True) == (found["stdout"], found["stdout_truncated"])
    assert ("0123456789", True) == (found["stderr"], found["stderr_truncated"])
    assert 7 == found["exit_code"]
    exact = run(cell, "head -c 1000 /dev/zero | tr '\\0' x")
    assert (1000, False) == (len(exact["stdout"]), exact["stdout_truncated"])


def test_output_that_is_cut_within_a_letter(cell: Cell) -> None:
    """Half a letter at the end is dropped; bytes that are no text are shown as such."""
    cell.open(commands=SHELL, max_stdout=4)

    assert "aü" == run(cell, "printf 'aüüü'")["stdout"]
    assert "a\ufffd" == run(cell, "printf 'a\\377'")["stdout"]


def test_time_is_bounded(cell: Cell) -> None:
    """The setting bounds what a call may ask for; the command and its children are killed."""
    cell.open(commands=SHELL, exec_timeout=0.5)
    for arguments in ({"timeout_ms": 200}, {}, {"timeout_ms": 60_000}):
        began = time.monotonic()
        failure = cell.failure(
            "exec", command="sh", args=["-c", "sleep 600 & echo $! > pid; wait"], **arguments
        )

        assert ("DeadlineExceeded", True) == (failure.code, failure.retryable)
        assert "runtime.native_tools.exec.timeout" in failure.message
        assert time.monotonic() - began < 5
        assert cell.ends(int((cell.root / "pid").read_text()))


def test_nothing_is_left_running(cell: Cell) -> None:
    """What a command leaves in the background is not waited for, and ends with the call."""
    cell.open(commands=SHELL)
    began = time.monotonic()

    found = run(cell, "sleep 600 & echo $! > pid; echo done")

    assert ("done\n", True) == (found["stdout"], time.monotonic() - began < 5)
    assert cell.ends(int((cell.root / "pid").read_text()))


def test_calls_at_once_and_one_after_the_other(cell: Cell) -> None:
    """A worker ends with its command, and there is always another."""
    cell.open(commands=SHELL)
    calls = [("exec", {"command": "printf", "args": [str(n)]}) for n in range(20)]

    outcomes = cell.outcomes(*calls)
    after = [cell.output("exec", command="printf", args=[str(n)])["stdout"] for n in range(3)]

    assert all(b'"success":true' in getattr(each, "output", b"") for each in outcomes)
    assert ["0", "1", "2"] == after


def test_the_time_of_the_task_kills_too(cell: Cell) -> None:
    """A call that is killed by the pool takes its command with it."""
    cell.open(commands=SHELL)

    [outcome] = cell.outcomes(
        ("exec", {"command": "sh", "args": ["-c", "echo $$ > pid; sleep 600"]}), timeout=0.8
    )

    assert "TOOL_TIMEOUT" == getattr(outcome, "code", outcome)
    assert cell.ends(int(Path(cell.root / "pid").read_text()))
