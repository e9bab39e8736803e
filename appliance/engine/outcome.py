"""How a task ended, and what that leads to."""

from __future__ import annotations

from appliance.engine import context
from appliance.engine.program import Node
from appliance.engine.run import TaskState
from appliance.engine.status import FAILURES
from appliance.language import expressions
from appliance.language.model import Json
from appliance.language.template import Environment

WAIT_TIMEOUT = "WAIT_TIMEOUT"


def failure(code: str, message: str) -> dict[str, Json]:
    """Return the error of a task or run."""
    return {"code": code, "message": message, "details": {}}


def transition(task: TaskState) -> Node | None:
    """Return the node that follows an ended task, or None where its chain ends."""
    node = task.node
    if node.task.final:
        return None
    if task.status == "SUCCESS":
        taken = node.task.on_success.next
        if node.type == "router":
            taken = node.task.routes[task.input["route_taken"]]
    elif task.status in FAILURES:
        taken = _after_failure(task)
    else:
        return None
    return None if taken is None else node.scope[taken]


def _after_failure(task: TaskState) -> str | None:
    late = task.error is not None and task.error["code"] == WAIT_TIMEOUT
    definition = task.node.task
    return (definition.on_timeout if late else None) or definition.on_error.next


def condition_of(task: TaskState, environment: Environment) -> Json:
    """Return the value of a router's condition. Raises InvalidInput."""
    condition = task.node.condition
    variables = context.of_task(task)
    if task.node.condition_text is not None:
        text = task.node.condition_text.text(variables, environment)
        condition = expressions.compile_expression(text)
    return condition.evaluate(variables)


def text_of(value: Json) -> str:
    """Return the text that a condition's result is looked up by."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "null" if value is None else str(value)


def data_failure(output: Json) -> dict[str, Json] | None:
    """Return the error that a tool reported in its output, or None when it did well."""
    if not isinstance(output, dict) or not (output.get("error") or output.get("success") is False):
        return None
    reported = output.get("error") or "the tool reported success: false"
    if isinstance(reported, dict):
        message = str(reported.get("message") or reported)
        return failure(str(reported.get("code") or "TASK_FAILED"), message)
    return failure("TASK_FAILED", str(reported))
