"""A workflow file: read into the model and checked as a whole against what the project offers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.language import later
from appliance.language.calls import check_calls
from appliance.language.definitions import LISTS, check_binding, definition_id, read_definitions
from appliance.language.flow import check_flow
from appliance.language.model import Json, Task, Tool, Workflow
from appliance.language.offers import Offer, read_schemas, read_tools
from appliance.language.options import Options, read_options
from appliance.language.placed import Placed
from appliance.language.references import TASK, Reader
from appliance.language.sections import Section
from appliance.language.starts import read_schedule, read_triggers
from appliance.language.suggestions import hint
from appliance.language.tasks import TaskReader

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_LOCAL = {key: LISTS[key] for key in ("agents", "knowledge_bases", "mcps")}
"""Definitions that a workflow may have of its own."""


def read_workflow(section: Section, offer: Offer) -> Workflow | None:
    """Read and check a workflow; None where it has no task that could be read."""
    offer = _own_offer(section, offer)
    name = section.needed_text("id")
    if name and not _ID.fullmatch(name):
        section.error(f"the id {name[:40]!r} is not made of letters, digits, _ - and .", "id")
    config = section.section("config")
    schema = config.schema("input", offer.schemas) if config else None
    env = config.strings("env") if config else {}
    own = read_options(config, "input", "env")
    tasks = TaskReader(offer.options.under(own), offer.schemas, offer.memories)
    scope = tasks.scope(section.sections("tasks"))
    _check_handler(section, own, offer, tasks)
    starts: dict[str, Any] = {
        "schedule": read_schedule(section, schema),
        "triggers": read_triggers(section, offer.schemas),
        "max_concurrent": section.whole("max_concurrent", 0, 0),
    }
    outputs = section.values("outputs")
    version, description = section.text("version"), section.text("description")
    _finish(section, outputs)
    if not scope:
        return None
    reader = Reader(scope)
    reader.check_workflow(section)
    return Workflow(
        id=name,
        tasks=tuple(placed.task for placed in scope),
        version=version,
        description=description,
        input=schema,
        env=env,
        outputs=outputs,
        tools=_check(scope, reader, offer),
        **starts,
    )


def read_task(section: Section, offer: Offer) -> Workflow | None:
    """Read and check a task that can be run by itself, as a workflow of that one task.

    What such a run is given counts as the task's `with`, on top of what the file says.
    """
    scope = TaskReader(offer.options, offer.schemas, offer.memories).scope([section])
    if not scope:
        return None
    first = scope[0].task
    if first.type == "basic":
        task = msgspec.structs.replace(first, takes_input=True)
        scope = (scope[0]._replace(task=task), *scope[1:])
    return Workflow(
        id=first.id,
        tasks=tuple(placed.task for placed in scope),
        input=_asked_of_caller(first),
        tools=_check(scope, Reader(scope), offer),
    )


def _asked_of_caller(task: Task) -> dict[str, Json] | None:
    """Return the schema of what a run of *task* is given: what the file gives may be left out.

    What the file makes of the caller's own input by a template does not count as given.
    """
    schema = task.input
    given = {name for name, value in (task.with_ or {}).items() if "{{" not in str(value)}
    if not given or schema is None:
        return schema
    asked = dict(schema)
    if "required" in schema:
        asked["required"] = [name for name in schema["required"] if name not in given]
    if "properties" in schema:
        asked["properties"] = {
            name: _without_default(value) if name in given else value
            for name, value in schema["properties"].items()
        }
    return asked


def _without_default(schema: Json) -> Json:
    inner = schema if isinstance(schema, dict) else {}
    return {key: value for key, value in inner.items() if key != "default"} if inner else schema


def _own_offer(section: Section, offer: Offer) -> Offer:
    """Return the offer with what the workflow defines on top."""
    schemas = {**offer.schemas, **read_schemas(section.sections("schemas"))}
    tools = {**offer.tools, **read_tools(section.sections("tools"), schemas)}
    local = [(kind, inner) for key, kind in _LOCAL.items() for inner in section.sections(key)]
    offer = offer._replace(schemas=schemas, tools=tools).with_definitions(
        {
            kind: [definition_id(kind, inner) for each, inner in local if each == kind]
            for kind in _LOCAL.values()
        }
    )
    read_definitions(local, offer.selectable(), schemas)
    check_binding(section, offer.known)
    return offer


def _check_handler(section: Section, own: Options, offer: Offer, tasks: TaskReader) -> None:
    """Check that the task exists which failures shall lead to."""
    name = own.on_error or offer.options.on_error
    if name is None or tasks.caught:
        return
    message = f"there is no task {name!r} in this workflow{hint(name, tasks.ids)}"
    if own.on_error:
        section.error(message, "config", "on_error")
    else:
        section.error(f"{message}; config.on_error of the project names it", "id")


def _finish(section: Section, outputs: Json) -> None:
    if section.text("resource", "workflow") != "workflow":
        section.error("resource must be 'workflow' here", "resource")
    if not section.has("tasks"):
        section.error("'tasks' is missing: a workflow needs at least one task")
    elif section.raw("tasks") == []:
        section.error("a workflow needs at least one task", "tasks")
    if outputs == {}:
        section.error(
            "outputs must not be empty; leave it out to get those of all tasks", "outputs"
        )
    for key in {"knowledge", *_LOCAL} & section.keys:
        section.warn(later.not_available(key), key)
    section.finish(("author", "CWD", "file_path"))


def _check(scope: Sequence[Placed], reader: Reader, offer: Offer) -> dict[str, Tool]:
    """Check what is inside of a workflow. Return the tools that its tasks name."""
    check_flow(scope, "workflow")
    reader.check_scope(scope, TASK)
    return check_calls(scope, reader, offer)
