"""What the language has and this version does not run yet: the only list of it."""

from __future__ import annotations

TASK_KEYS = frozenset(
    "action agent attachments knowledge max_iterations mcps memory model_config prompt tools".split()  # noqa: SIM905 - words
)
"""Fields of a task that an agent or a language model would answer."""


def not_available(what: str) -> str:
    """Return the sentence for something on this list."""
    return f"{what} is not available in this version"
