"""The page about security names tests that are there."""

from __future__ import annotations

import re

import pytest

from tests.reliability.serving import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_is_said_to_prove_it_is_there(path: str, name: str) -> None:
    """A promise without its test is none."""
    text = (ROOT / path).read_text()
    assert f"def {name}(" in text if name else text


def test_every_file_of_this_suite_is_on_the_page() -> None:
    """Whoever adds a scenario says what it promises."""
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/security").glob("test_*.py")}
    assert {"tests/security/test_page.py"} == here - {path for path, _ in NAMED}


def test_every_risk_has_a_test() -> None:
    """All ten of OWASP's list."""
    rows = re.findall(r"^\| API(\d+) [^|]+\| (.+) \|$", PAGE, re.MULTILINE)
    assert [str(number) for number in range(1, 11)] == [number for number, _ in rows]
    assert all("::test_" in tests for _, tests in rows)
