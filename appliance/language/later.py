"""What the language has and this version does not run yet: the only list of it."""

from __future__ import annotations

TASK_KEYS = frozenset(
    "action agent attachments knowledge max_iterations mcps memory model_config prompt tools".split()  # noqa: SIM905 - words
)
"""Fields of a task that an agent or a language model would answer."""
WORKFLOW_KEYS = frozenset({"schedule", "triggers"})
"""Fields of a workflow that would start runs by themselves."""
DEFINITIONS = frozenset("agents embedders knowledge knowledge_bases mcps memories models".split())  # noqa: SIM905 - words
"""Definitions that only the fields above would use: they are accepted and wait."""
RESOURCES = frozenset(
    "agent embedder knowledge_base mcp memory model task vector_db vectordb".split()  # noqa: SIM905 - words
)
"""Kinds of autoloaded files that hold such definitions."""
RUNTIMES = ("bun", "node")
NATIVE_TOOLS = "cp__"
"""Prefix of the tools that Compozy has built in."""


def not_available(what: str) -> str:
    """Return the sentence for something on this list."""
    return f"{what} is not available in this version"
