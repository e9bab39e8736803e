"""Tools."""

from __future__ import annotations

from appliance.language.editor.fields import (
    data,
    duration,
    idle,
    mapping,
    needed_text,
    resource,
    schema,
    silent,
    strings,
    text,
    values,
    whole,
)

TOOL = mapping(
    "A function that tasks call.",
    {
        "id": needed_text("What tasks call it; the function has the same name, with _ for -."),
        **resource("tool"),
        "description": text("What it does, for people."),
        "timeout": duration("The longest a call may take, where the task says nothing."),
        "input": schema("What it is given; defaults are filled in."),
        "output": schema("What it returns."),
        "with": values("Arguments that every call has; those of the task win."),
        "env": strings("Variables of its calls."),
        "max_concurrent": whole("Calls at once in the whole server; 0 is no bound.", 0, default=0),
        "config": idle(data("Configuration of the tool.")),
        "cwd": idle(data("Directory to work in.")),
        **silent("CWD", "file_path"),
    },
    "id",
)
