"""Every workflow of docs/workflows.md runs, and comes out as the page says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings, Settings
from appliance.language.loader import load_project
from appliance.operations import commands, executions
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from tests.language.page import EXAMPLES, PROJECT, TOOLS, Example

RUNNING = {each.id: each for each in EXAMPLES if each.runs}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The project of the page, with all of its workflows."""
    place = tmp_path / "workflows"
    place.mkdir()
    (tmp_path / "tools.py").write_text(TOOLS)
    sources = "".join(f"  - source: ./workflows/{name}.yaml\n" for name in RUNNING)
    (tmp_path / "compozy.yaml").write_text(
        PROJECT.replace("  - source: ./workflows/order.yaml\n", sources)
    )
    for name, example in RUNNING.items():
        (place / f"{name}.yaml").write_text(example.text)
    return tmp_path


def test_the_page_has_workflows() -> None:
    """Each says what comes out, and none hides another one."""
    running = [each for each in EXAMPLES if each.runs]
    assert 12 < len(running) == len(RUNNING)
    assert [] == [each.name for each in running if each.output is None]


def test_every_workflow_of_the_page_runs(page: Path, database_settings: DatabaseSettings) -> None:
    """With the input and the signals that it says, in one server, at once."""
    settings = Settings(cwd=page, data_dir=page / "data", database=database_settings)

    async def run_all() -> list[tuple[str, Any]]:
        async with Appliance.open(settings, load_project(page, {})) as appliance:
            runs = (run(appliance, name, each) for name, each in RUNNING.items())
            return await asyncio.gather(*runs)

    expected = {name: ("SUCCESS", each.output) for name, each in RUNNING.items()}
    assert expected == dict(zip(RUNNING, asyncio.run(run_all()), strict=True))


async def run(appliance: Appliance, name: str, example: Example) -> tuple[str, Any]:
    """Return how a run of an example ends, and its output."""
    run_id = (
        await executions.start_execution(appliance, SYSTEM, name, run_input=example.input)
    ).exec_id
    for signal, payload in example.signals:
        await commands.signal_execution(appliance, SYSTEM, run_id, signal, payload)
    state, _ended = await executions.wait_for(appliance, run_id, 30)
    return state["status"], state["output"]
