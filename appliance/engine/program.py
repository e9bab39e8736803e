"""A workflow made ready to run: nodes that know each other, templates and conditions compiled.

A program is made from the text of a definition alone, so that a run that goes on after a restart is
steered by exactly what it was started with.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import msgspec

from appliance.language import expressions, schemas, template
from appliance.language.model import Json, RetryPolicy, Task, Tool, Workflow

GROUPS = frozenset({"parallel", "collection", "composite"})
CALLS = frozenset({"basic", "signal", "memory"})
"""Types of tasks whose work is done outside of the reducer, by an executor."""


class Node:
    """A task of a definition with its compiled parts and its place among the others."""

    __slots__ = (
        "children",
        "condition",
        "condition_text",
        "env",
        "filter",
        "id_template",
        "input_schemas",
        "items",
        "max_concurrent",
        "output_schemas",
        "outputs",
        "parent",
        "processor",
        "retry",
        "scope",
        "sequence",
        "task",
        "timeout",
        "tool_id",
        "tool_output",
        "type",
        "wait_for",
        "wait_timeout",
        "with_",
    )  # fmt: skip

    def __init__(self, task: Task, parent: Node | None, tools: dict[str, Tool]) -> None:
        self.task = task
        self.type = task.type
        self.parent = parent
        self.retry: RetryPolicy = task.retry
        tool = tools.get(task.tool or "", Tool(id=task.tool or ""))
        self.tool_id = tool.id
        self.timeout = task.timeout or tool.timeout
        self.max_concurrent = tool.max_concurrent
        self.env = {**tool.env, **task.env}
        self.input_schemas = _compile("input", task.input, tool.input)
        self.tool_output = _compile("output", tool.output)
        self.output_schemas = _compile("output", task.output)
        arguments = _arguments(task, tool)
        self.with_ = template.compile_value(arguments) if arguments else None
        self.outputs = template.compile_value(task.outputs) if task.outputs else None
        self.items = template.compile_value(task.items)
        self.filter = template.compile_text(task.filter) if task.filter else None
        self.id_template = template.compile_text(task.id)
        templated = "{{" in (task.condition or "")
        self.condition_text = template.compile_text(task.condition or "") if templated else None
        self.condition = expressions.compile_expression("" if templated else task.condition or "")
        self.wait_for = template.compile_text(task.wait_for) if task.wait_for else None
        self.wait_timeout = template.compile_text(task.wait_timeout) if task.wait_timeout else None
        self.scope: dict[str, Node] = {}
        """The tasks that a transition of this task may name: itself and its siblings."""
        self.children: dict[str, Node] = {}
        self.sequence: list[Node] = []
        inner = (task.task, task.processor)
        members = (*(each for each in inner if each is not None), *task.tasks)
        _link(self, [Node(member, self, tools) for member in members])
        self.processor = self.children[task.processor.id] if task.processor else None

    @property
    def is_item(self) -> bool:
        """Whether this is the task that a collection repeats for each item."""
        return self.parent is not None and self.parent.type == "collection"


class Program:
    """A workflow ready to run. `hash` names its text, `source`."""

    def __init__(self, source: bytes) -> None:
        workflow = msgspec.json.decode(source, type=Workflow)
        self.id = workflow.id
        self.source = source
        self.hash = hashlib.sha256(source).hexdigest()
        self.workflow = workflow
        self.env = workflow.env
        self.input_schemas = _compile("input", workflow.input)
        self.outputs = template.compile_value(workflow.outputs) if workflow.outputs else None
        nodes = [Node(task, None, workflow.tools) for task in workflow.tasks]
        self.nodes = {node.task.id: node for node in nodes}
        for node in nodes:
            node.scope = self.nodes
        self.first = nodes[0]

    def accept(self, value: Json) -> Json:
        """Return the run's input with defaults filled in. Raises InvalidInput naming the field."""
        return conform(value, self.input_schemas)


def _link(group: Node, members: list[Node]) -> None:
    """Give *group* its children; those that a sibling names wait until they are named."""
    group.children = {member.task.id: member for member in members}
    branches = {name for member in members for name in targets(member.task)}
    group.sequence = [member for member in members if member.task.id not in branches]
    for member in members:
        member.scope = group.children


def targets(task: Task) -> set[str]:
    """Return the ids of the siblings that may follow *task*."""
    named = {task.on_success.next, task.on_error.next, task.on_timeout, *task.routes.values()}
    return {name for name in named if name is not None}


def _arguments(task: Task, tool: Tool) -> dict[str, Json]:
    """Return what the executor of a task is given, before its templates are rendered."""
    if task.signal is not None:
        return {"id": task.signal.id, "payload": task.signal.payload}
    if task.memory is not None:
        call = task.memory
        return {"memory_ref": call.ref, "key": call.key, "payload": call.payload, **call.options}
    return {**tool.with_, **(task.with_ or {})}


def conform(value: Json, checks: tuple[schemas.Schema, ...]) -> Json:
    """Return *value* with the defaults of each schema. Raises InvalidInput naming the field."""
    for check in checks:
        value = check.apply(value)
    return value


def _compile(name: str, *found: dict[str, Json] | None) -> tuple[schemas.Schema, ...]:
    return tuple(schemas.compile_schema(schema, name) for schema in found if schema)


def source_of(workflow: Workflow) -> bytes:
    """Return the canonical text of a workflow: equal workflows have equal texts."""
    return msgspec.json.encode(workflow, order="sorted")


@lru_cache(maxsize=256)
def compile_program(source: bytes) -> Program:
    """Return the program of a definition's text; the same text gives the same program."""
    return Program(source)
