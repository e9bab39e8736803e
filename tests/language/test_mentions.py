"""Who names whom in a definition as it was written."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.language import yaml
from appliance.language.mentions import mentions

WORKFLOW = """
id: order
schemas: [{id: local, type: object}]
tools: [{id: mine, timeout: 5s}, {id: selected}, plain]
config: {input: order_schema, env: {tool: env_value}}
triggers:
  - {type: signal, name: x, schema: event_schema}
tasks:
  - {id: a, tool: resize, with: {tool: argument, memory: argument}, output: {type: object}}
  - {id: b, type: memory, memory_ref: chat, payload: {agent: text}}
  - {id: c, type: parallel, tasks: [{id: d, agent: {id: writer}, model: fast, tool: mine}]}
  - {id: e, type: collection, task: {id: f, tool: cp__call_workflow, with: {workflow_id: other}}}
  - id: g
    tool: cp__call_tasks
    with: {tasks: [{task_id: one}, {task_id: two, with: {workflow_id: argument}}]}
  - {id: h, input: local}
"""


def read(text: str) -> Any:
    return yaml.load(text, "x.yaml").data


def test_what_a_workflow_names() -> None:
    """Every way to name something counts; arguments, schemas and local definitions do not."""
    assert {
        *(("schema", "order_schema"), ("schema", "event_schema")),
        *(("tool", name) for name in ("selected", "plain", "resize")),
        *(("tool", "cp__call_workflow"), ("tool", "cp__call_tasks")),
        *(("memory", "chat"), ("agent", "writer"), ("model", "fast")),
        *(("workflow", "other"), ("task", "one"), ("task", "two")),
    } == mentions("workflow", read(WORKFLOW))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{id: a, model: 'groq:x', memory: [{id: m}], mcps: [gh]}", "mcp:gh memory:m model:groq:x"),
        ("{id: a, memory: [{id: m, mode: read-only}]}", "memory:m"),
        ("{id: a, model: {provider: mock, model: x}}", ""),
        ("{id: t, input: s, output: {type: object, tool: x}}", "schema:s"),
        ("[]", ""),
        ("text", ""),
        ("{tool: 5, tools: 5, with: 5}", ""),
        ("{tool: cp__call_workflow, with: '{{ .input }}'}", "tool:cp__call_workflow"),
    ],
)
def test_what_others_name(text: str, expected: str) -> None:
    """Agents, tools and broken definitions are read the same way."""
    assert expected == " ".join(sorted(":".join(name) for name in mentions("agent", read(text))))


def test_a_model_names_nothing() -> None:
    """The field `model` of a model is what its provider calls it."""
    assert set() == mentions("model", {"provider": "mock", "model": "fast"})
