"""Every workflow of docs/workflows.md and docs/native-tools.md runs, and comes out as it says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings, Settings, load
from appliance.language.loader import load_project
from appliance.language.yaml import load as load_yaml
from appliance.operations import commands, executions
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from appliance.tools.native import NATIVE
from tests.language.page import NATIVE_TOOLS, WORKFLOWS, Example

PRICES = "127.0.0.1:8000"
"""Where a page says that a server is which answers with a price."""


class Prices(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        item = json.loads(self.rfile.read(int(self.headers["content-length"])))["item"]
        body = json.dumps({"item": item, "price": 2.5, "shop": self.headers["x-shop"]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def prices() -> Iterator[str]:
    """The address of a server that knows prices."""
    with HTTPServer(("127.0.0.1", 0), Prices) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_the_workflows_of_the_language_run(
    tmp_path: Path, database_settings: DatabaseSettings
) -> None:
    """With the input and the signals that they say, in one server, at once."""
    running = WORKFLOWS.running
    assert 12 < len(running)
    sources = "".join(f"  - source: ./workflows/{name}.yaml\n" for name in running)
    project = WORKFLOWS.project.replace("  - source: ./workflows/order.yaml\n", sources)
    (tmp_path / "compozy.yaml").write_text(project)
    (tmp_path / "tools.py").write_text(WORKFLOWS.tools)
    settings = Settings(cwd=tmp_path, data_dir=tmp_path / "data", database=database_settings)
    assert outcomes(running) == run_all(tmp_path, settings, running)


def test_the_native_tools_run(
    tmp_path: Path, database_settings: DatabaseSettings, prices: str
) -> None:
    """As the settings in the project of the page allow."""
    running = NATIVE_TOOLS.running
    (tmp_path / "compozy.yaml").write_text(NATIVE_TOOLS.project)
    (tmp_path / "tasks").mkdir()
    for each in NATIVE_TOOLS.examples:
        if each.text.startswith("resource: task"):
            (tmp_path / "tasks" / f"{each.id}.yaml").write_text(each.text)
    running["ask"] = running["ask"]._replace(text=running["ask"].text.replace(PRICES, prices))
    runtime = load({}, tmp_path, {}).settings.runtime
    settings = Settings(
        cwd=tmp_path, data_dir=tmp_path / "data", database=database_settings, runtime=runtime
    )
    assert outcomes(running) == run_all(tmp_path, settings, running)


def test_every_argument_of_a_native_tool_is_in_an_example() -> None:
    """And every tool is told of in a table."""
    given: dict[str, set[str]] = {name: set() for name in NATIVE}
    for each in NATIVE_TOOLS.running.values():
        for task in load_yaml(each.text, each.id).data["tasks"]:
            if task.get("tool") in given:
                given[task["tool"]] |= task["with"].keys()
    assert {name: {*signature.parameters} for name, signature in NATIVE.items()} == given
    rows = [line for line in NATIVE_TOOLS.text.splitlines() if line.startswith("| `cp__")]
    assert set() == {name for name in NATIVE if not any(f"`{name}`" in row for row in rows)}


def outcomes(running: dict[str, Example]) -> dict[str, Any]:
    """Return what the pages say about the ends of runs."""
    return {name: ("SUCCESS", each.output) for name, each in running.items()}


def run_all(directory: Path, settings: Settings, running: dict[str, Example]) -> dict[str, Any]:
    """Write the workflows into a project, run them, and return how each ended and its output."""
    (directory / "workflows").mkdir()
    for name, example in running.items():
        (directory / "workflows" / f"{name}.yaml").write_text(example.text)

    async def work() -> list[tuple[str, Any]]:
        async with Appliance.open(settings, load_project(directory, {})) as appliance:
            runs = (run(appliance, name, example) for name, example in running.items())
            return await asyncio.gather(*runs)

    return dict(zip(running, asyncio.run(work()), strict=True))


async def run(appliance: Appliance, name: str, example: Example) -> tuple[str, Any]:
    """Return how a run of an example ends, and its output or else why."""
    started = await executions.start_execution(appliance, SYSTEM, name, run_input=example.input)
    for signal, payload in example.signals:
        await commands.signal_execution(appliance, SYSTEM, started.exec_id, signal, payload)
    state, _ended = await executions.wait_for(appliance, started.exec_id, 30)
    return state["status"], state["output"] or state["error"]
