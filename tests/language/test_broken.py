"""Every file of `broken/` has one fault, which is told with its place and what was probably meant.

The first line of a file is what `validate` says about it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Files

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
PROJECT = """
name: shop
workflows: [{ source: order.yaml }]
memories: [{ id: chat }]
"""
WORKFLOW = "id: order\ntasks: [{ id: a, tool: anything }]\n"


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_a_fault_is_told_with_its_place(files: Files, file: Path) -> None:
    """File, line and column are those of the fault, and there is no other."""
    text = file.read_text()
    expected = text.splitlines()[0].removeprefix("# ")
    is_project = "\nname:" in text
    name = "compozy.yaml" if is_project else "order.yaml"
    files.write({"compozy.yaml": PROJECT, "order.yaml": WORKFLOW})
    (files.directory / name).write_text(text)

    assert [f"{name}:{expected}"] == files.problems()


def test_there_are_more_than_twenty() -> None:
    """Every type of task and every kind of file has its share."""
    assert len(BROKEN) > 20
