"""Rules of completion: the script of a shell works, by whatever path the program is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A file named as the program is delivered, that runs it."""
    file = tmp_path / "compozy.pyz"
    file.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from appliance.cli.program import program\nprogram()\n"
    )
    file.chmod(0o755)
    return file


def complete(program: Path, called: str, *words: str) -> list[str]:
    """What bash offers for the last of *words*, after it has read the script of the program."""
    line = " ".join(f"'{word}'" for word in (called, *words))
    script = f"""
        source <({program} completion bash)
        complete -p compozy.pyz > /dev/null || exit 3
        COMP_WORDS=({line}); COMP_CWORD={len(words)}
        _compozypyz_completion {called}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    bash = shutil.which("bash")
    assert bash is not None
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        env=environment,
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "" == done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("called", ["compozy.pyz", "./compozy.pyz"])
def test_bash_completes_commands(program: Path, called: str) -> None:
    """Commands of the program and of its groups, which are imported only when they are needed."""
    assert ["definitions", "dev"] == sorted(complete(program, called, "de"))
    assert ["export"] == complete(program, called, "definitions", "ex")


def test_bash_completes_options_and_values(program: Path) -> None:
    """Names of options, and the words that one takes."""
    called = "compozy.pyz"
    assert ["--strategy"] == complete(program, called, "definitions", "import", "--str")
    assert ["tasks", "tools"] == sorted(complete(program, called, "definitions", "delete", "t"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(terminal: Terminal, shell: str) -> None:
    """It asks the program in the way the program answers, and is a program of that shell."""
    script = terminal.ok("completion", shell)
    assert f"_COMPOZY_COMPLETE={shell}_complete" in script
    assert "compozy.pyz" in script
    interpreter = shutil.which(shell)
    if interpreter is not None:
        subprocess.run([interpreter, "-n"], input=script, text=True, check=True)


def test_another_shell_is_refused(terminal: Terminal) -> None:
    """With those there are."""
    assert "'bash', 'zsh', 'fish'" in terminal.fails(64, "completion", "tcsh")
