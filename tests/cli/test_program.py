"""Rules of the program: exit codes, sentences, no traceback, a fast start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from appliance import __version__
from appliance.cli.program import called_as, program
from appliance.errors import InvalidProject, Locked
from tests.cli.conftest import Terminal


def process(*words: str, cwd: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program as a process; *code* runs in its place when given."""
    start = ["-c", code] if code else ["-m", "appliance"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, *start, *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_version(terminal: Terminal) -> None:
    """The version is shown by the command and by the option."""
    assert terminal.ok("version").startswith(f"compozy {__version__}\n")
    assert f"{__version__}\n" == terminal.ok("--version")


def test_version_imports_little(tmp_path: Path) -> None:
    """A command that needs no server, no client and no file imports nothing for them."""
    code = (
        "import sys; from appliance.cli.program import program\n"
        "try: program(['version'])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = process(cwd=tmp_path, code=code)
    assert 0 == done.returncode
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    heavy = {"litestar", "httpx", "rich", "yaml", "psycopg", "structlog", "asyncio", "msgspec"}
    assert set() == loaded & heavy


def test_every_command_has_help(terminal: Terminal) -> None:
    """Every command and every group explains itself and is listed with one line."""
    context = click.Context(program)
    for name in program.list_commands(context):
        text = terminal.ok(name, "--help")
        assert "Usage: " in text
        command = program.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str().endswith((".", "..."))
        assert name in terminal.ok("--help")


@pytest.mark.parametrize("words", [["nonsense"], ["start", "--nonsense"], ["workflow", "run"]])
def test_usage_errors(terminal: Terminal, words: list[str]) -> None:
    """A command line that cannot be understood is 64, with the way to help."""
    assert "--help" in terminal.fails(64, *words)


class TestErrors:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
        """A command `fail` that raises what stands in the list."""
        errors: list[BaseException] = []

        @click.command()
        @click.option("--debug", is_flag=True, expose_value=False)
        def fail() -> None:
            raise errors[0]

        monkeypatch.setitem(program.commands, "fail", fail)
        return errors

    def test_known(self, terminal: Terminal, failing: list[BaseException]) -> None:
        """An error of ours is its sentence and its exit code."""
        failing.append(Locked("It is locked; unlock it."))
        assert "error: It is locked; unlock it.\n" == terminal.fails(73, "fail")

    def test_problems(self, terminal: Terminal, failing: list[BaseException]) -> None:
        """Problems are listed one on a line before the sentence."""
        failing.append(InvalidProject("Two problems.", problems=["a:1:1: x", "b:2:2: y"]))
        assert "a:1:1: x\nb:2:2: y\nerror: Two problems.\n" == terminal.fails(65, "fail")

    def test_unexpected(self, terminal: Terminal, failing: list[BaseException]) -> None:
        """An error that nobody expected is one sentence and 70."""
        failing.append(KeyError("x"))
        expected = "error: unexpected KeyError: 'x'; --debug shows where.\n"
        assert expected == terminal.fails(70, "fail")

    def test_system(self, terminal: Terminal, failing: list[BaseException]) -> None:
        """An error of the system is a sentence with the file, and 74."""
        failing.append(PermissionError(13, "Permission denied", "/x"))
        assert "error: /x: Permission denied.\n" == terminal.fails(74, "fail")

    def test_interrupt(self, terminal: Terminal, failing: list[BaseException]) -> None:
        """Ctrl-C is 130 and quiet."""
        failing.append(KeyboardInterrupt())
        assert "" == terminal.fails(130, "fail").strip()

    def test_debug(self, tmp_path: Path) -> None:
        """--debug shows where an error arises."""
        done = process("config", "show", "--cwd", "/nowhere", "--debug", cwd=tmp_path)
        assert 78 == done.returncode
        assert "Traceback" in done.stderr


def test_closed_output(tmp_path: Path) -> None:
    """When the reader of the output has gone, the program ends without a word."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "config", "show"],
        cwd=tmp_path,
        env=env,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (1, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("/x/appliance/__main__.py", "{python} -m appliance"),
        ("{file}", "{file}"),
        ("compozy.pyz", "{python} compozy.pyz"),
    ],
)
def test_called_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: str, shown: str
) -> None:
    """Hints name the program in the words that call it here."""
    file = tmp_path / "compozy.pyz"
    file.touch(0o755)
    words = {"python": Path(sys.executable).name, "file": str(file)}
    monkeypatch.setattr(sys, "argv", [called.format(**words)])
    assert shown.format(**words) == called_as()
