"""The workflows of the project, as they are defined."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import msgspec

from appliance.engine.program import Program
from appliance.errors import NotFound
from appliance.language.mentions import mentions
from appliance.language.model import Declaration, Json, Project
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.operations.resources import without_secrets

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

PARTS = ("tasks", "agents", "tools")
"""What a workflow consists of, and can be asked for by itself."""
_WRITTEN = ("author", "config", "schedule", "triggers")
"""Fields that are shown as they were written."""


def list_workflows(
    appliance: Appliance,
    *,
    q: str = "",
    expand: Collection[str] = (),
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return the workflows whose id begins with *q*, by id, with the parts that *expand* names.

    Raises InvalidInput for a bad cursor.
    """
    after = decode_cursor(cursor) if cursor else ""
    programs = appliance.engine.programs
    names = sorted(name for name in programs if name.startswith(q) and name > after)
    items = [_entry(appliance.project, programs[name], expand) for name in names[: limit + 1]]
    return page_of(items, limit, "id")


def get_workflow(appliance: Appliance, workflow_id: str) -> dict[str, Json]:
    """Return a workflow with its whole definition. Raises NotFound."""
    program = appliance.engine.program(workflow_id)
    definition = msgspec.json.decode(program.source)
    shown = {name: value for name, value in definition.items() if name not in _WRITTEN}
    return {**shown, **_summary(appliance.project, program)}


def list_parts(appliance: Appliance, workflow_id: str, part: str) -> list[dict[str, Json]]:
    """Return the tasks, agents or tools of a workflow. Raises NotFound."""
    return _parts(appliance.project, appliance.engine.program(workflow_id), part)


def get_part(appliance: Appliance, workflow_id: str, part: str, name: str) -> dict[str, Json]:
    """Return one task (also one inside of another), agent or tool of a workflow. Raises NotFound."""
    found = {item.get("id"): item for item in _all(list_parts(appliance, workflow_id, part))}
    if name not in found:
        raise NotFound(f"The workflow {workflow_id!r} has nothing of the name {name!r} in {part}.")
    return found[name]


def _entry(project: Project, program: Program, expand: Collection[str]) -> dict[str, Json]:
    parts = {part: _parts(project, program, part) for part in PARTS if part in expand}
    return {**_summary(project, program), **parts}


def _summary(project: Project, program: Program) -> dict[str, Json]:
    workflow, written = program.workflow, _written(project, program.id)
    data = written.data
    return {
        "id": workflow.id,
        "version": workflow.version,
        "description": workflow.description,
        "task_count": len(workflow.tasks),
        "task_ids": [task.id for task in workflow.tasks],
        "tool_count": len(workflow.tools),
        "agent_count": len(data.get("agents") or ()),
        "mcp_count": len(data.get("mcps") or ()),
        "outputs": workflow.outputs,
        "etag": program.hash,
        "defined_in": written.file or "api",
        **{name: without_secrets(data[name]) for name in _WRITTEN if name in data},
    }


def _parts(project: Project, program: Program, part: str) -> list[dict[str, Json]]:
    if part == "agents":
        return list(_agents(project, program.id))
    tools, tasks = program.workflow.tools.values(), program.workflow.tasks
    parts: list[dict[str, Json]] = msgspec.to_builtins(list(tools) if part == "tools" else tasks)
    return parts


def _agents(project: Project, workflow_id: str) -> Iterator[dict[str, Json]]:
    """Return the agents that a workflow brings along and those of the project that it names."""
    data = _written(project, workflow_id).data
    for agent in data.get("agents") or ():
        if isinstance(agent, dict) and agent.keys() > {"id"}:
            yield without_secrets(agent)
    for kind, name in sorted(mentions("workflow", data)):
        declared = project.declared.get(kind, {}).get(name)
        if kind == "agent" and declared is not None:
            yield without_secrets({**declared.data, "id": name})


def _all(items: list[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    for item in items:
        yield item
        inner = item.get("task"), item.get("processor"), *(item.get("tasks") or ())
        yield from _all([part for part in inner if isinstance(part, dict)])


def _written(project: Project, workflow_id: str) -> Declaration:
    return project.declared.get("workflow", {}).get(workflow_id, Declaration({}))
