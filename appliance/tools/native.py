"""The native tools, `cp__*`: what each can be called with, and who runs it."""

from __future__ import annotations

from appliance.tools.introspect import Signature

PREFIX = "cp__"
"""How the names begin. A name that does is never a function of the project."""


def _takes(required: str = "", optional: str = "") -> Signature:
    needed = tuple(required.split())
    return Signature((*needed, *optional.split()), needed, accepts_any=False, line=1)


IN_WORKERS = {
    "cp__read_file": _takes("path"),
    "cp__write_file": _takes("path content", "append mode"),
    "cp__delete_file": _takes("path", "recursive"),
    "cp__list_files": _takes("dir", "exclude recursive"),
    "cp__list_dir": _takes(
        "path", "pattern recursive include_files include_dirs page_size page_token"
    ),
    "cp__grep": _takes("pattern path", "recursive ignore_case exclude max_results"),
    "cp__exec": _takes("command", "args working_dir env timeout_ms"),
    "cp__fetch": _takes("url", "method headers body timeout_ms"),
}
"""Run in the processes of the tool pool, whatever language the project's own tools have."""

IN_SERVER = {
    "cp__call_task": _takes("task_id", "with timeout_ms"),
    "cp__call_tasks": _takes("tasks"),
    "cp__call_workflow": _takes("workflow_id", "input initial_task_id timeout_ms"),
    "cp__call_workflows": _takes("workflows"),
}
"""Run in the server, for they start runs."""

NATIVE: dict[str, Signature] = {**IN_WORKERS, **IN_SERVER}
"""Every native tool that can be called."""

NOT_AVAILABLE = frozenset(
    {"cp__call_agent", "cp__call_agents", "cp__list_agents", "cp__describe_agent"}
)
"""Those that need an agent: known by name, and not available in this version."""
