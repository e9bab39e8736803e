"""One fixed clock and dice for every test of the templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from appliance.language.template import Environment, compile_text

NOW_US = 1_773_500_966_535_897
"""2026-03-14T15:09:26.535897Z, a Saturday."""


@pytest.fixture
def env() -> Environment:
    return Environment(NOW_US, "7")


@pytest.fixture
def text(env: Environment) -> Callable[..., str]:
    """Render a template to text: `text(source, **variables)`."""
    return lambda source, /, **variables: compile_text(source).text(variables, env)


@pytest.fixture
def value(env: Environment) -> Callable[..., Any]:
    """Render a template to a value: `value(source, **variables)`."""
    return lambda source, /, **variables: compile_text(source).value(variables, env)
