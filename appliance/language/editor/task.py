"""Tasks: the fields that all have, and those of each type."""

from __future__ import annotations

from appliance.language.editor.fields import (
    KEYS,
    SCALAR,
    Schema,
    choice,
    data,
    duration,
    each,
    either,
    flag,
    idle,
    mapping,
    needed_text,
    number,
    refer,
    reference,
    resource,
    schema,
    selector,
    silent,
    strings,
    template,
    text,
    values,
    whole,
)
from appliance.language.editor.options import OPTIONS

_CONDITION = "Written in CEL, such as tasks.price.output.total > 200.0."


def _transition(about: str) -> Schema:
    fields = {
        "next": text("The task that follows."),
        "with": idle(data("Write it on the task that follows.")),
    }
    return mapping(about, fields)


_NAMED = {
    "id": needed_text("Name of the task, unique among its siblings: letters, digits, _ and -."),
    **resource("task"),
    "config": mapping("Options of this task; they win over those of the workflow.", OPTIONS),
    "input": schema("What `with` must give."),
    "output": schema("What the output must be."),
    "env": strings("Variables of its tool, on top of those of the workflow."),
    "on_success": _transition("Where the flow goes on when the task succeeded."),
    "on_error": _transition("Where the flow goes on when the task failed."),
    "retries": whole("Further attempts after the first one.", 0),
    "final": flag("Nothing follows.", default=False),
    "outputs": values("Shapes what .tasks.<id>.output becomes; the raw result is .output there."),
    "timeout": duration("The longest one attempt may take; for a group, the whole group."),
    **silent("CWD", "file_path"),
}
_STARTED = {
    "with": values("Arguments, rendered just before the task runs. May hold templates."),
    "sleep": duration("Wait before the task."),
}
_COMMON = {**_NAMED, **_STARTED}
_TASKS = each("Tasks inside of this one.", reference("task"))
_GROUP = {
    "tasks": _TASKS,
    "strategy": choice(
        "When the group ends and what counts as success: wait_all ends when all have ended;"
        " fail_fast at the first failure; best_effort needs one success; race ends at the first.",
        "wait_all",
        "fail_fast",
        "best_effort",
        "race",
        default="wait_all",
    ),
    "max_workers": whole("How many run at once; 0 is no bound.", 0, default=0),
}

_BASIC = {"tool": selector("The tool to call: a function, or a native tool cp__...", "tool")}
_ROUTER = {
    "condition": text(f"Whose result, as text, is the name of a route. {_CONDITION}"),
    "routes": {
        "description": "Result of the condition: the task that follows, by id or written here.",
        "type": "object",
        "propertyNames": KEYS,
        "additionalProperties": either(
            "The id of a task, or a task with its type.",
            {"allOf": [reference("task")], "required": ["type"]},
            {"type": SCALAR, "minLength": 1},
        ),
    },
    "default_route": idle(data("Give the result a route.")),
}
_COLLECTION = {
    **_GROUP,
    "items": data("A list, a map, JSON as text, or a range such as 1..5. May hold templates."),
    "task": {
        "description": "The task to repeat for each item; its id is a template.",
        "allOf": [reference("task")],
        "properties": {
            "id": {
                "pattern": "\\{\\{",
                "patternErrorMessage": "The id would be the same for every item; write for example"
                " row-{{ .index }}.",
            }
        },
    },
    "filter": template("An item is left out where it gives false, no, 0, off or nothing."),
    "mode": choice(
        "At once, or one after the other.", "parallel", "sequential", default="parallel"
    ),
    "batch": whole("How many run at once; 0 is no bound.", 0, default=0),
    "item_var": text("A further name of the item.", default="item"),
    "index_var": text("A further name of its number.", default="index"),
}
_COMPOSITE = {
    "tasks": _TASKS,
    "strategy": idle(data("Its tasks run one after the other.")),
    "max_workers": idle(data("Its tasks run one after the other.")),
}
_WAIT = {
    "wait_for": needed_text("Name of the signal. May hold templates."),
    "condition": text(f'Which signals count; "true" takes any. {_CONDITION}'),
    "timeout": duration(
        "The longest time to wait. May hold templates.", kind="duration_or_template"
    ),
    "on_timeout": text("The task that follows when no right signal came in time."),
    "processor": refer("processor", "A task that is run for every signal, before the condition."),
}
_SIGNAL = {
    "signal": mapping(
        "The event to send.",
        {
            "id": needed_text("Name of the event. May hold templates."),
            "payload": data("What the event carries. May hold templates."),
        },
        "id",
    )
}
_MAX_KEYS = whole("The most keys to go over.", 1, 50_000)
_MEMORY = {
    "operation": choice(
        "What to do.", "read", "write", "append", "delete", "flush", "health", "clear", "stats"
    ),
    "memory_ref": needed_text("The id of one of the project's memories."),
    "key_template": template("Which list of messages."),
    "payload": data("What to keep: a message {role, content}, or a list. May hold templates."),
    "max_keys": _MAX_KEYS,
    "batch_size": whole("Messages to handle at once.", 1, 10_000),
    "flush_config": mapping(
        "Options of flush.",
        {
            "strategy": choice(
                "What goes first.", "simple_fifo", "lru", "token_aware_lru", "hybrid_summary"
            ),
            "max_keys": _MAX_KEYS,
            "dry_run": flag("Only say what would go."),
            "force": flag("Also below the threshold."),
            "threshold": number("Share of the limit from which something goes.", 0, 1),
        },
    ),
    "health_config": mapping(
        "Options of health.",
        {
            "include_stats": flag("Figures as well."),
            "check_connectivity": flag("Ask the database."),
        },
    ),
    "stats_config": mapping(
        "Options of stats.",
        {
            "include_content": flag("Messages as well."),
            "group_by": choice("One figure for each.", "role"),
        },
    ),
    "clear_config": mapping(
        "Options of clear.",
        {
            "confirm": flag("Must be true, or nothing is cleared."),
            "backup": flag("Give back what was cleared."),
        },
    ),
}

_ABOUT = {
    "basic": "Calls a tool.",
    "router": "Goes one of several ways.",
    "parallel": "Runs tasks at once.",
    "collection": "Repeats a task for each item of a list.",
    "composite": "Runs tasks in order, and stops at the first failure.",
    "aggregate": "Shapes data without calling anything.",
    "wait": "Waits for a signal that is sent to the run.",
    "signal": "Sends an event, which starts workflows.",
    "memory": "Reads or changes a memory.",
}


def _of(kind: str, fields: dict[str, Schema], *needed: str) -> Schema:
    about = _ABOUT[kind]
    return mapping(about, {"type": {"description": about, "const": kind}, **fields}, *needed)


TYPES: dict[str, Schema] = {
    "basic": _of("basic", {**_COMMON, **_BASIC}, "tool"),
    "router": _of("router", {**_COMMON, **_ROUTER}, "condition", "routes"),
    "parallel": _of("parallel", {**_COMMON, **_GROUP, "tasks": {**_TASKS, "minItems": 1}}, "tasks"),
    "collection": _of("collection", {**_COMMON, **_COLLECTION}, "items", "task"),
    "composite": _of("composite", {**_COMMON, **_COMPOSITE}),
    "aggregate": _of("aggregate", _NAMED, "outputs"),
    "wait": _of("wait", {**_COMMON, **_WAIT}, "wait_for", "condition", "timeout"),
    "signal": _of("signal", {**_COMMON, **_SIGNAL}, "signal"),
    "memory": _of("memory", {**_COMMON, **_MEMORY}, "operation", "memory_ref"),
}


def _is(kind: str) -> Schema:
    said: Schema = {"properties": {"type": {"const": kind}}}
    return said if kind == "basic" else {**said, "required": ["type"]}


def _any_of(about: str, kinds: list[str], *needed: str) -> Schema:
    """A task of one of *kinds*. Its type alone decides what an editor holds it against."""
    branches = [{"if": _is(kind), "then": reference(f"task_{kind}")} for kind in kinds]
    kind = {**choice("What the task does; basic calls a tool.", *kinds, default="basic")}
    required = {"required": [*needed]} if needed else {}
    return {
        "description": about,
        "type": "object",
        "properties": {"type": kind},
        **required,
        "allOf": branches,
    }


TASK = _any_of("A task.", [*TYPES], "id")
PROCESSOR = _any_of(
    "A task that works on a signal. Without an id it is called <id of the wait>-processor.",
    [kind for kind in TYPES if kind not in ("router", "wait")],
)
