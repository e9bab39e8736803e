"""What the loader lets templates name is what the engine gives them."""

from __future__ import annotations

from appliance.engine import context
from appliance.language.references import FIELDS, OUTPUT, RUN, TASK
from tests.engine.simulation import Simulation, program


def test_variables_of_the_loader_are_those_of_the_engine() -> None:
    """Neither list can change without the other."""
    tasks = [
        {"id": "group", "type": "composite", "tasks": [{"id": "a", "tool": "echo"}]},
    ]
    tools = {"echo": lambda **arguments: arguments}
    run = Simulation(program(tasks=tasks), tools).finish().run
    task = run.by_id["a"]

    assert set(context.of_run(run)) == RUN
    assert set(context.of_task(task)) == TASK | OUTPUT
    assert set(context.of_run(run)["workflow"]) == FIELDS["workflow"]
    assert set(context.task_view(task)) == FIELDS["tasks"]
