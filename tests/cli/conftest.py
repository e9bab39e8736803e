"""Runs the program in a directory of its own, as a user would."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from appliance.cli.program import program


class Terminal:
    """Where commands are typed. Standard input and output are no terminals."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._runner = CliRunner()

    def run(self, *words: str, stdin: str = "", **environ: str) -> Result:
        """Run a command and return what it printed and its exit code."""
        result = self._runner.invoke(program, words, input=stdin, env=environ)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        return result

    def ok(self, *words: str, stdin: str = "", **environ: str) -> str:
        """Run a command that must succeed and return its standard output."""
        result = self.run(*words, stdin=stdin, **environ)
        assert (0, "") == (result.exit_code, result.stderr if result.exit_code else "")
        return result.stdout

    def json(self, *words: str, stdin: str = "", **environ: str) -> Any:
        """Run a command that must succeed and return the JSON it printed."""
        return json.loads(self.ok(*words, stdin=stdin, **environ))

    def fails(self, code: int, *words: str, stdin: str = "", **environ: str) -> str:
        """Run a command that must fail with *code* and return its standard error."""
        result = self.run(*words, stdin=stdin, **environ)
        assert (code, "") == (result.exit_code, result.stdout)
        return result.stderr


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return Terminal(tmp_path)


@pytest.fixture(autouse=True)
def _keep_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
