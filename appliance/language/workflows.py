"""A workflow file: read into the model and checked as a whole against what the project offers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from appliance.language import later
from appliance.language.flow import check_flow
from appliance.language.model import Json, Memory, Tool, Workflow
from appliance.language.options import Options, read_options
from appliance.language.placed import Placed, all_tasks
from appliance.language.references import OUTPUT, TASK, Reader
from appliance.language.sections import Section
from appliance.language.suggestions import hint
from appliance.language.tasks import TaskReader

if TYPE_CHECKING:
    from appliance.tools.introspect import Signature

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")


class Declared(NamedTuple):
    """A tool that a file declares, and where."""

    tool: Tool
    section: Section


class Offer(NamedTuple):
    """What a project offers to each of its workflows."""

    options: Options = Options()
    schemas: Mapping[str, Json] = {}
    tools: Mapping[str, Declared] = {}
    memories: Mapping[str, Memory] = {}
    functions: Mapping[str, Signature] | None = {}
    """By name; None where they cannot be known because their file has an error."""
    entrypoint: str = ""
    refusal: str = ""
    """Why no tool can be called at all."""


def read_schemas(sections: Iterable[Section]) -> dict[str, Json]:
    """Read a list of JSON schemas, each with its `id`."""
    found: dict[str, Json] = {}
    for section in sections:
        name = section.needed_text("id")
        schema = section.own_schema("id", "resource")
        if name in found:
            section.error(f"the schema {name!r} is there twice", "id")
        elif schema is not None:
            found[name] = schema
    return found


def read_tools(sections: Iterable[Section], schemas: Mapping[str, Json]) -> dict[str, Declared]:
    """Read a list of tools."""
    found: dict[str, Declared] = {}
    for section in sections:
        tool = Tool(
            id=section.needed_text("id"),
            description=section.text("description"),
            timeout=section.seconds("timeout"),
            input=section.schema("input", schemas),
            output=section.schema("output", schemas),
            with_=section.values("with") or {},
            env=section.strings("env"),
        )
        section.finish(("config", "cwd", "CWD", "resource"))
        if tool.id in found:
            section.error(f"the tool {tool.id!r} is there twice", "id")
        found.setdefault(tool.id, Declared(tool, section))
    return found


def read_workflow(section: Section, offer: Offer) -> Workflow | None:
    """Read and check a workflow; None where it has no task that could be read."""
    schemas = {**offer.schemas, **read_schemas(section.sections("schemas"))}
    tools = {**offer.tools, **read_tools(section.sections("tools"), schemas)}
    name = section.needed_text("id")
    if name and not _ID.fullmatch(name):
        section.error(f"the id {name[:40]!r} is not made of letters, digits, _ - and .", "id")
    config = section.section("config")
    schema = config.schema("input", schemas) if config else None
    env = config.strings("env") if config else {}
    own = read_options(config, "input", "env")
    reader = TaskReader(offer.options.under(own), schemas, offer.memories)
    scope = reader.scope(section.sections("tasks"))
    _check_handler(section, own, offer, reader)
    outputs = section.values("outputs")
    version, description = section.text("version"), section.text("description")
    _finish(section, outputs)
    if not scope:
        return None
    return Workflow(
        id=name,
        tasks=tuple(placed.task for placed in scope),
        version=version,
        description=description,
        input=schema,
        env=env,
        outputs=outputs,
        tools=_check(section, scope, tools, offer),
    )


def _check_handler(section: Section, own: Options, offer: Offer, reader: TaskReader) -> None:
    """Check that the task exists which failures shall lead to."""
    if own.on_error and not reader.caught:
        section.error(f"there is no task {own.on_error!r} in this workflow", "config", "on_error")
    elif offer.options.on_error and not reader.caught:
        message = f"there is no task {offer.options.on_error!r} here, and config.on_error names it"
        section.error(f"{message} in the project", "id")


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
    for key in later.WORKFLOW_KEYS & section.keys:
        section.error(later.not_available(key), key)
    for key in later.DEFINITIONS & section.keys:
        section.warn(later.not_available(key), key)
    section.finish(("author", "CWD", *later.WORKFLOW_KEYS, *later.DEFINITIONS))


def _check(
    section: Section, scope: Sequence[Placed], tools: Mapping[str, Declared], offer: Offer
) -> dict[str, Tool]:
    """Check what is inside of a workflow. Return the tools that its tasks name."""
    check_flow(scope, "workflow")
    reader = Reader(scope)
    reader.check_workflow(section)
    reader.check_scope(scope, TASK)
    used: dict[str, Tool] = {}
    for placed in all_tasks(scope):
        name = placed.task.tool
        if name is None:
            continue
        declared = tools.get(name)
        used[name] = declared.tool if declared else Tool(id=name)
        _check_call(placed, used[name], declared, offer)
        if declared:
            reader.check_value(declared.section, "with", TASK | OUTPUT)
    return used


def _check_call(placed: Placed, tool: Tool, declared: Declared | None, offer: Offer) -> None:
    section, functions = placed.section, offer.functions
    if offer.refusal:
        section.error(offer.refusal, "tool")
    elif functions is not None and not {tool.function, "*"} & functions.keys():
        known = {*functions, *(name.replace("_", "-") for name in functions)}
        what = f"{tool.id!r} is declared, but" if declared else f"there is no tool {tool.id!r}:"
        message = f"{what} {offer.entrypoint} has no function {tool.function!r}"
        section.error(message + hint(tool.id, known), "tool")
    elif functions is not None and tool.function in functions and _readable(placed):
        _check_arguments(placed, tool, functions[tool.function])


def _check_arguments(placed: Placed, tool: Tool, signature: Signature) -> None:
    given = placed.task.with_ or {}
    for key in given if not signature.accepts_any else ():
        if key not in signature.parameters:
            message = f"{tool.id} takes no argument {key!r}{hint(key, signature.parameters)}"
            placed.section.error(message, "with", key)
    properties = (tool.input or {}).get("properties", {})
    filled = {key for key, schema in properties.items() if "default" in _keys(schema)}
    missing = [key for key in signature.required if key not in {*given, *tool.with_, *filled}]
    if missing:
        names = " and ".join(repr(key) for key in missing)
        placed.section.error(f"{tool.id} needs {names} in 'with'", "tool")


def _readable(placed: Placed) -> bool:
    return placed.task.with_ is not None or not placed.section.has("with")


def _keys(schema: Json) -> frozenset[str]:
    return frozenset(schema) if isinstance(schema, dict) else frozenset()
