"""Workflow files."""

from __future__ import annotations

from appliance.language.editor.fields import (
    Schema,
    each,
    mapping,
    needed_text,
    refer,
    reference,
    resource,
    schema,
    silent,
    strings,
    text,
    values,
    whole,
)
from appliance.language.editor.options import OPTIONS

DEFINED: dict[str, Schema] = {
    "schemas": each("JSON schemas that are named by id.", reference("schema")),
    "tools": each("Tools that need more than their function.", reference("tool")),
    "agents": each("Agents; they are kept and not run.", reference("agent")),
    "mcps": each("MCP servers; they are kept and not run.", reference("mcp")),
    "knowledge_bases": each("Knowledge bases; kept and not run.", reference("knowledge_base")),
}
"""Definitions that both a project and a workflow may have."""

WORKFLOW = mapping(
    "A workflow: tasks, what starts it, what goes in and what comes out.",
    {
        "id": needed_text(
            "Its name, unique in the project: letters, digits, _, - and .",
            pattern="^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$",
        ),
        **resource("workflow"),
        "version": text("Its version, for people."),
        "description": text("What it does, for people."),
        "config": mapping(
            "Its input, its variables, and options for its tasks.",
            {
                "input": schema("What a run is given; defaults are filled in."),
                "env": strings("Variables of the tools, and .env.NAME in templates."),
                **OPTIONS,
            },
        ),
        **DEFINED,
        "knowledge": refer("binding", "What its agents may look up; kept and not run."),
        "tasks": each("Its tasks; the first one starts.", reference("task"), minItems=1),
        "outputs": values("Templates that shape the result of the run.", minProperties=1),
        "schedule": refer("schedule", "When it starts by itself."),
        "triggers": each("What starts it from outside.", reference("trigger")),
        "max_concurrent": whole("Runs that may be under way at once; 0 is no bound.", 0, default=0),
        **silent("author", "CWD", "file_path"),
    },
    "id",
    "tasks",
)
