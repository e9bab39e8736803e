"""Projects written down in a test, and what loading them says."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from appliance.errors import InvalidProject
from appliance.language.loader import load_project
from appliance.language.model import Project, Workflow

TOOLS = """
def greet(name, greeting="Hello"): ...
def send_mail(to, *, text): ...
def anything(**given): ...
"""


class Files:
    """A directory of a project. Texts are dedented."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write({"tools.py": TOOLS})

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"))

    def load(self, **env: str) -> Project:
        """Load the directory."""
        return load_project(self.directory, env)

    def load_with(self, *resources: tuple[str, str, str]) -> Project:
        """Load the directory and what was stored through the API: kind, id and text."""
        return load_project(self.directory, {}, resources)

    def workflow(self, text: str) -> Workflow:
        """Load one workflow file and return the workflow."""
        return next(iter(self.single(text).workflows.values()))

    def single(self, text: str) -> Project:
        """Load one workflow file."""
        self.write({"w.yaml": text})
        return load_project(self.directory / "w.yaml", {})

    def problems(self, text: str | None = None) -> list[str]:
        """Return the problems of the directory, or of one workflow file with *text*."""
        with pytest.raises(InvalidProject) as caught:
            self.load() if text is None else self.single(text)
        problems: list[str] = caught.value.details["problems"]
        assert caught.value.message.startswith(f"The project has errors: {problems[0]}")
        return problems


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An empty project with a few tools."""
    return Files(tmp_path)
