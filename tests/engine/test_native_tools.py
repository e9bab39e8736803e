"""Native tools in workflows: through the whole appliance, as a project without a line of code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings, RuntimeSettings, Settings
from appliance.config.settings import CallSettings, NativeToolSettings
from appliance.language.loader import load_project
from appliance.operations import executions
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance

PROJECT = {
    "compozy.yaml": "name: files\nworkflows: [{source: w.yaml}, {source: many.yaml}, {source: nap.yaml}]",
    "w.yaml": """
id: w
config: { input: { type: object, properties: { path: { type: string }, tool: { type: string } } } }
tasks:
  - id: write
    tool: cp__write_file
    with: { path: "out/{{ .input.path }}", content: "one\\ntwo\\n" }
    on_success: { next: find }
  - id: find
    tool: cp__grep
    with: { path: out, pattern: "^t" }
    on_success: { next: read }
  - id: read
    tool: cp__read_file
    with: { path: "{{ .input.path }}" }
    config: { retry_policy: { maximum_attempts: 1 } }
outputs:
  line: "{{ (index .tasks.find.output.matches 0).line }}"
  text: "{{ .tasks.read.output.content }}"
""",
    "many.yaml": """
id: many
tasks:
  - id: all
    tool: cp__call_workflows
    with:
      workflows: [{workflow_id: nap}, {workflow_id: nap}, {workflow_id: nap}, {workflow_id: nap}]
    config: { retry_policy: { maximum_attempts: 1 } }
""",
    "nap.yaml": """
id: nap
tasks:
  - { id: nap, tool: cp__exec, with: { command: sleep, args: ["0.2"] } }
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "note").write_text("hello")
    return tmp_path


@asynccontextmanager
async def opened(
    project: Path, database: DatabaseSettings, **native: Any
) -> AsyncIterator[Appliance]:
    runtime = RuntimeSettings(native_tools=NativeToolSettings(**native))
    settings = Settings(cwd=project, data_dir=project / "data", database=database, runtime=runtime)
    async with Appliance.open(settings, load_project(project, {})) as appliance:
        yield appliance


async def finish(appliance: Appliance, workflow: str, **run_input: Any) -> dict[str, Any]:
    started = await executions.start_execution(appliance, SYSTEM, workflow, run_input=run_input)
    state, ended = await executions.wait_for(appliance, started.exec_id, 30)
    assert ended, state
    return state


def test_files_without_code(project: Path, database_settings: DatabaseSettings) -> None:
    """A project needs no entrypoint: what one task writes the next ones find and read."""

    async def check() -> list[dict[str, Any]]:
        async with opened(project, database_settings) as appliance:
            return [await finish(appliance, "w", path=path) for path in ("note", "gone")]

    found, missing = asyncio.run(check())

    assert {"line": 2, "text": "hello"} == found["output"]
    assert "one\ntwo\n" == (project / "out/note").read_text()
    assert ("FAILED", "FileNotFound") == (
        missing["status"],
        missing["tasks"]["read"]["error"]["code"],
    )


@pytest.mark.parametrize(
    "path",
    ["data/admin.key", "data/app.db", "data/app.db-wal", "other.db", "../../x", ".env", "named"],
)
def test_what_belongs_to_the_server_is_never_read(project: Path, path: str) -> None:
    """The data directory lies in the root of the tools by default, and is out of their reach."""
    (project / ".env").write_text("TOKEN=secret")
    (project / "named").write_text("TOKEN=secret")
    place = "other.db" if path == "other.db" else "data/app.db"
    database = DatabaseSettings(path=str(project / place))
    settings = Settings(
        cwd=project,
        data_dir=project / "data",
        database=database,
        env_files=(project / "named", project / ".env"),
    )

    async def check() -> dict[str, Any]:
        async with Appliance.open(settings, load_project(project, {})) as appliance:
            return await finish(appliance, "w", path=path)

    state = asyncio.run(check())

    assert ("FAILED", "PermissionDenied") == (
        state["status"],
        state["tasks"]["write" if path == "../../x" else "read"]["error"]["code"],
    )


def test_runs_that_a_task_starts_are_bounded(
    project: Path, sqlite_settings: DatabaseSettings
) -> None:
    """No more at once than the setting says, and each comes to its turn."""
    most = 0

    async def check() -> dict[str, Any]:
        calls = CallSettings(max_concurrent=2, timeout=30)
        native = {"commands": ("sleep",), "call_workflows": calls}
        async with opened(project, sqlite_settings, **native) as appliance:
            watch = asyncio.create_task(_watch(appliance))
            state = await finish(appliance, "many")
            watch.cancel()
            return state

    async def _watch(appliance: Appliance) -> None:
        nonlocal most
        while True:
            most = max(most, appliance.engine.active - 1)
            await asyncio.sleep(0.005)

    state = asyncio.run(check())

    assert (4, 0, 2) == (
        state["tasks"]["all"]["output"]["success_count"],
        state["tasks"]["all"]["output"]["failure_count"],
        most,
    )


@pytest.mark.parametrize(
    ("native", "setting"),
    [
        ({"enabled": False}, "runtime.native_tools.enabled"),
        (
            {"call_workflows": CallSettings(enabled=False)},
            "runtime.native_tools.call_workflows.enabled",
        ),
    ],
)
def test_calls_can_be_turned_off(
    project: Path, sqlite_settings: DatabaseSettings, native: dict[str, Any], setting: str
) -> None:
    """The task fails with the name of the setting; nothing is started."""

    async def check() -> tuple[dict[str, Any], int]:
        async with opened(project, sqlite_settings, **native) as appliance:
            state = await finish(appliance, "many")
            return state, appliance.engine.counts["STARTED"]

    state, started = asyncio.run(check())

    error = state["tasks"]["all"]["error"]
    assert ("PERMISSION_DENIED", True, 1) == (error["code"], setting in error["message"], started)


def test_a_call_has_the_time_that_the_settings_give(
    project: Path, sqlite_settings: DatabaseSettings
) -> None:
    """A task that sets no timeout has that of its tool, not that of functions."""

    async def check() -> dict[str, Any]:
        calls = CallSettings(timeout=0.05)
        native = {"commands": ("sleep",), "call_workflows": calls}
        async with opened(project, sqlite_settings, **native) as appliance:
            return await finish(appliance, "many")

    state = asyncio.run(check())

    assert ("FAILED", "TOOL_TIMEOUT") == (state["status"], state["tasks"]["all"]["error"]["code"])
