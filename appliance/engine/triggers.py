"""Who starts when an event comes: workflows with a signal trigger of its name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from appliance.engine.program import Program
from appliance.errors import InvalidInput
from appliance.language import schemas
from appliance.language.model import Json, Trigger


class Dispatched(NamedTuple):
    """What an event did to a workflow: the run that it started, or why it started none."""

    workflow_id: str
    exec_id: str | None
    problem: str | None


class Listener(NamedTuple):
    """A workflow that an event starts, and the trigger that says so."""

    program: Program
    trigger: Trigger

    def check(self, payload: Json) -> Json:
        """Return *payload* as the input of a run. Raises InvalidInput naming the field."""
        if payload is None:
            payload = {}
        if not isinstance(payload, dict):
            msg = "the payload must be a JSON object, for it becomes the input of a run"
            raise InvalidInput(msg)
        schema = _schema(self.program, self.trigger.name)
        return payload if schema is None else schema.apply(payload)


@lru_cache(maxsize=256)
def _schema(program: Program, name: str) -> schemas.Schema | None:
    """Return the schema of an event's payload; compiling it takes longer than checking with it."""
    for trigger in program.workflow.triggers:
        if trigger.name == name and trigger.schema:
            return schemas.compile_schema(trigger.schema, "payload")
    return None


def listeners(programs: Mapping[str, Program], name: str) -> list[Listener]:
    """Return the workflows that an event *name* starts."""
    return [
        Listener(program, trigger)
        for program in programs.values()
        for trigger in program.workflow.triggers
        if trigger.type == "signal" and trigger.name == name
    ]
