"""Rules of the documentation: it names every setting, command and exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from appliance.config import registry
from appliance.errors import ApplianceError
from tests.cli import reference


@pytest.mark.parametrize(("file", "part", "make"), reference.PARTS)
def test_generated_parts(file: str, part: str, make: Callable[[], str]) -> None:
    """What is generated is up to date; `python -m tests.cli.reference` writes it."""
    assert reference.written(file, part, make()) == (reference.DOCS / file).read_text()


def test_exit_codes() -> None:
    """Every exit code that an error may have is documented."""
    text = (reference.DOCS / "cli.md").read_text()
    assert [] == [kind for kind in _kinds(ApplianceError) if f"| {kind.exit_code} |" not in text]


def test_example_variables() -> None:
    """Every variable of .env.example is a setting, and every line of it can be used."""
    lines = (reference.DOCS.parent / ".env.example").read_text().splitlines()
    names = {line[2:].partition("=")[0] for line in lines if "=" in line}
    assert set() == names - {setting.env for setting in registry.SETTINGS}
    assert {"DATABASE_URL", "SERVER_PORT"} <= names


def _kinds(kind: type[ApplianceError]) -> Iterator[type[ApplianceError]]:
    yield kind
    for sub in kind.__subclasses__():
        yield from _kinds(sub)
