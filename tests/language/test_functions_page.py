"""docs/functions.md shows every function, and what comes of each is what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.language.expressions import FUNCTIONS as OF_CONDITIONS
from appliance.language.expressions import LOOPS, compile_expression
from appliance.language.template.functions import FUNCTIONS, SHORT_CIRCUIT
from tests.language.template.conftest import env, text

__all__ = ["env", "text"]  # the fixtures: the clock of the page

PAGE = (Path(__file__).parents[2] / "docs" / "functions.md").read_text("utf-8")
INPUT = json.loads(PAGE.partition("`input` is `")[2].partition("`.")[0])


def _lines(language: str) -> list[tuple[str, str]]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).splitlines()
    return [(source, result) for source, _, result in (line.partition(" → ") for line in lines)]


TEMPLATES, CONDITIONS = _lines("template"), _lines("cel")


@pytest.mark.parametrize(("source", "shown"), TEMPLATES, ids=lambda part: part)
def test_a_template_gives_what_is_shown(text: Callable[..., str], source: str, shown: str) -> None:
    """In each form of its functions, those with `must` in front too."""
    must = re.sub(r"(?<=[{(|] )\w+|(?<=\()\w+", _with_must, source)
    for each in (source, must):
        given = text(each)
        assert shown in (given, json.dumps(given))


def _with_must(name: re.Match[str]) -> str:
    forms = (f"must{name[0][0].upper()}{name[0][1:]}", f"must_{name[0]}")
    return next((form for form in forms if form in FUNCTIONS), name[0])


@pytest.mark.parametrize(("source", "shown"), CONDITIONS, ids=lambda part: part)
def test_a_condition_gives_what_is_shown(source: str, shown: str) -> None:
    """Its result is JSON."""
    assert json.loads(shown) == compile_expression(source).evaluate({"input": INPUT})


def test_every_function_is_shown() -> None:
    """None is left out, neither of templates nor of conditions."""
    called = set(re.findall(r"\w+", " ".join(source for source, _ in TEMPLATES)))
    mine = {name for name in FUNCTIONS if not name.startswith("must")}
    assert set() == {*mine, *SHORT_CIRCUIT} - called

    called = set(re.findall(r"(\w+)\(", " ".join(source for source, _ in CONDITIONS)))
    assert set() == {*OF_CONDITIONS, *LOOPS} - called
