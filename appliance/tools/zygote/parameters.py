"""The parameters of a function, and whether arguments fit them."""

from __future__ import annotations

import inspect
from typing import Any, Callable  # noqa: UP035 - runs on 3.9


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that can be given by keyword; none where they cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: each for each in parameters if each.kind in by_keyword}


def mismatch_of(function: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """Say why *arguments* do not fit, and what would; empty when they fit or nobody can know."""
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        known = [
            name if each.default is each.empty else f"{name} (optional)"
            for name, each in parameters_of(function).items()
        ]
        return f"{error}; its parameters: {', '.join(known) or 'none'}"
    except ValueError:
        pass
    return ""
