"""What docs/triggers.md shows can be copied."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.language.loader import load_project

from .conftest import Files

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "triggers.md").read_text("utf-8")


def test_the_workflow_of_the_page_loads(files: Files) -> None:
    """With every field that the page explains."""
    first = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    files.write({"tools.py": "def pack(order_id): ..."})
    event, webhook = files.workflow(first).triggers
    assert "order.wanted" == event.name
    assert webhook.webhook is not None
    assert ("shop", 300.0, 86_400.0) == (
        webhook.webhook.slug,
        webhook.webhook.verify.skew,
        webhook.webhook.dedupe.ttl,
    )


def test_the_examples_load() -> None:
    """Both projects are valid without a `.env`."""
    for name in ("signals", "webhook"):
        project = load_project(ROOT / "examples" / name, {})
        assert (name, ()) == (project.name, project.warnings)
        assert any(workflow.triggers for workflow in project.workflows.values())
