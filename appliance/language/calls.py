"""The tools that tasks name, held against those that there are and what they take."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.language import later
from appliance.language.model import Json, Tool
from appliance.language.offers import Declared, Offer
from appliance.language.placed import Placed, all_tasks
from appliance.language.references import OUTPUT, TASK, Reader
from appliance.language.suggestions import hint
from appliance.tools.introspect import Signature
from appliance.tools.native import NATIVE, NOT_AVAILABLE, PREFIX


def check_calls(scope: Sequence[Placed], reader: Reader, offer: Offer) -> dict[str, Tool]:
    """Check which tools tasks call, and with what. Return the tools by the name that tasks use."""
    used: dict[str, Tool] = {}
    for placed in all_tasks(scope):
        name = placed.task.tool
        if name is None:
            continue
        declared = offer.tools.get(name)
        used[name] = declared.tool if declared else Tool(id=name)
        if name.startswith(PREFIX):
            _check_native(placed, used[name], offer)
        else:
            _check_call(placed, used[name], declared, offer)
        if declared:
            reader.check_value(declared.section, "with", TASK | OUTPUT)
    return used


def _check_native(placed: Placed, tool: Tool, offer: Offer) -> None:
    if tool.id in NOT_AVAILABLE:
        placed.section.error(later.not_available(f"the tool {tool.id}"), "tool")
    elif tool.id not in NATIVE:
        message = f"there is no native tool {tool.id!r}{hint(tool.id, NATIVE)}"
        placed.section.error(message, "tool")
    elif not offer.native_tools:
        message = "the native tools are turned off by the setting runtime.native_tools.enabled"
        placed.section.error(message, "tool")
    elif _readable(placed):
        _check_arguments(placed, tool, NATIVE[tool.id])


def _check_call(placed: Placed, tool: Tool, declared: Declared | None, offer: Offer) -> None:
    section, functions = placed.section, offer.functions
    if offer.refusal:
        section.error(offer.refusal, "tool")
    elif not offer.has_function(tool.function):
        what = f"{tool.id!r} is declared, but" if declared else f"there is no tool {tool.id!r}:"
        message = f"{what} {offer.entrypoint} has no function {tool.function!r}"
        section.error(message + hint(tool.id, {*offer.tool_ids(), *NATIVE}), "tool")
    elif functions and tool.function in functions and _readable(placed):
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
    if missing and not placed.task.takes_input:
        names = " and ".join(repr(key) for key in missing)
        placed.section.error(f"{tool.id} needs {names} in 'with'", "tool")


def _readable(placed: Placed) -> bool:
    return placed.task.with_ is not None or not placed.section.has("with")


def _keys(schema: Json) -> frozenset[str]:
    return frozenset(schema) if isinstance(schema, dict) else frozenset()
