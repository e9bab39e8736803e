"""Projects on disk, and appliances that read them again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from appliance.config import DatabaseSettings, ServerSettings, Settings
from appliance.language.loader import load_project
from appliance.operations.appliance import Appliance

COMPOZY = """\
name: shop
autoload: {enabled: true, include: ["parts/*.yaml"]}
config: {source_of_truth: repo}
schemas: [{id: person, type: object, properties: {name: {type: string, default: Ada}}}]
tools: [{id: greet, description: Greets, input: person}]
workflows: [{source: greet.yaml}]
"""
GREET = """\
id: greet
config: {input: person}
tasks:
  - {id: only, tool: greet, with: {name: "{{ .workflow.input.name }}"}}
outputs: {said: "{{ .tasks.only.output }}"}
"""
TOOLS = """\
import os, pathlib, time

def greet(name="Ada"):
    return f"Hello, {name}"

def hold(gate):
    while not pathlib.Path(gate).exists():
        time.sleep(0.01)
    return "old"
"""


class Shop:
    """A small project in *directory*; a test changes its files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("compozy.yaml", COMPOZY)
        self.write("greet.yaml", GREET)
        self.write("tools.py", TOOLS)

    def write(self, name: str, text: str) -> None:
        """Save a file."""
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def replace(self, name: str, former: str, text: str) -> None:
        """Save a file with another text in a place."""
        content = (self.directory / name).read_text()
        assert former in content
        self.write(name, content.replace(former, text))

    @asynccontextmanager
    async def opened(
        self, database: DatabaseSettings, *, resume: bool = True
    ) -> AsyncIterator[Appliance]:
        """Open an appliance that serves the project."""
        settings = Settings(
            cwd=self.directory,
            data_dir=self.directory / "data",
            database=database,
            server=ServerSettings(port=0, shutdown_timeout=0.5),
        )
        load = partial(load_project, self.directory, {})
        async with Appliance.open(settings, load(()), load=load, resume=resume) as appliance:
            yield appliance
