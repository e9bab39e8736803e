"""A real appliance over a real database, served to a client inside this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import DatabaseSettings, ServerSettings, Settings
from appliance.language.model import Project, RetryPolicy, Runtime, Task, Tool, Workflow


def _workflow(name: str, /, **arguments: str) -> Workflow:
    schema = {
        "type": "object",
        "properties": {argument: {"type": kind} for argument, kind in arguments.items()},
        "required": list(arguments),
    }
    task = Task(
        id="only",
        tool=name,
        with_={argument: f"{{{{ .workflow.input.{argument} }}}}" for argument in arguments},
        retry=RetryPolicy(maximum_attempts=1),
    )
    outputs = {"result": "{{ .tasks.only.output }}"}
    tools = {name: Tool(id=name)}
    return Workflow(id=name, input=schema, tasks=(task,), outputs=outputs, tools=tools)


@pytest.fixture(scope="session")
def project() -> Project:
    workflows = [_workflow("greet", name="string"), _workflow("nap", seconds="number")]
    workflows.append(_workflow("fail"))
    return Project(
        name="test",
        directory=str(Path(__file__).parent),
        runtime=Runtime(entrypoint=str(Path(__file__).parent / "tools.py")),
        workflows={workflow.id: workflow for workflow in workflows},
    )


@pytest.fixture
def settings(database_settings: DatabaseSettings, tmp_path: Path) -> Settings:
    return Settings(
        cwd=tmp_path,
        data_dir=tmp_path / "data",
        database=database_settings,
        server=ServerSettings(port=0),
    )
