"""What docs/schedules.md shows can be copied."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from appliance.language.loader import load_project
from appliance.language.model import Schedule
from appliance.language.schedules import Timetable

from .conftest import Files

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "schedules.md").read_text("utf-8")


def test_the_workflow_of_the_page_loads(files: Files) -> None:
    """With every field that there is, each of which the page explains."""
    [workflow] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    files.write({"tools.py": "def report(region): ..."})
    schedule = files.workflow(workflow).schedule
    assert schedule is not None
    assert ("buffer_one", 20.0) == (schedule.overlap_policy, schedule.jitter)
    for field in msgspec.structs.fields(Schedule):
        assert f"  {field.name}: " in workflow
        assert f"`{field.name}`" in "".join(re.findall(r"^### .*$", PAGE, re.MULTILINE))


def test_every_cron_of_the_page_is_one() -> None:
    """The table of what can be written can be copied from."""
    table = PAGE.partition("| Written | Due |")[2].partition("\n\n")[0]
    quoted = re.findall(r"`([^`]+)`", table)
    shown = [text for text in quoted if text.startswith("@") or text.count(" ") > 3]
    assert 12 < len(shown)
    for cron in shown:
        assert Timetable(cron).next_after(0) is not None


def test_the_example_loads() -> None:
    """It is valid as it is, and both of its workflows start by themselves."""
    project = load_project(ROOT / "examples" / "schedules", {})
    assert ("schedules", ()) == (project.name, project.warnings)
    assert all(workflow.schedule for workflow in project.workflows.values())
