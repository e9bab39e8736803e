"""The workflows of the project, as they are defined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from appliance.language.model import Json, Workflow
from appliance.operations.pages import Page, decode_cursor, page_of

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance


def list_workflows(
    appliance: Appliance, *, q: str = "", limit: int = 50, cursor: str | None = None
) -> Page:
    """Return the workflows whose id begins with *q*, by id. Raises InvalidInput for a bad cursor."""
    after = decode_cursor(cursor) if cursor else ""
    programs = appliance.engine.programs
    names = sorted(name for name in programs if name.startswith(q) and name > after)
    items = [_summary(programs[name].workflow, programs[name].hash) for name in names[: limit + 1]]
    return page_of(items, limit, "id")


def get_workflow(appliance: Appliance, workflow_id: str) -> dict[str, Json]:
    """Return a workflow with its whole definition. Raises NotFound."""
    program = appliance.engine.program(workflow_id)
    definition = msgspec.json.decode(program.source)
    return {**_summary(program.workflow, program.hash), **definition}


def _summary(workflow: Workflow, definition_hash: str) -> dict[str, Json]:
    return {
        "id": workflow.id,
        "version": workflow.version,
        "description": workflow.description,
        "task_count": len(workflow.tasks),
        "task_ids": [task.id for task in workflow.tasks],
        "tool_count": len(workflow.tools),
        "etag": definition_hash,
    }
