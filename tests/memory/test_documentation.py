"""What docs/memory.md shows can be copied, and its numbers are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from appliance.language.loader import load_project
from appliance.memory.flushing import Strategy
from appliance.memory.home import TIDY_EVERY, TIDY_KEYS
from appliance.memory.limits import MAX_KEY_BYTES, MAX_MESSAGES, MAX_TOKENS
from appliance.memory.messages import MAX_BYTES
from appliance.memory.operations import CHANGING, READING
from appliance.memory.order import MAX_KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "memory.md").read_text()
PROJECT, *WORKFLOWS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda text: text.partition("\n")[0])
def test_every_example_loads(tmp_path: Path, workflow: str) -> None:
    """Without a mistake and without a warning."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "compozy.yaml").write_text(PROJECT)
    (tmp_path / "workflows" / "order.yaml").write_text(workflow)
    assert () == load_project(tmp_path, {}, ()).warnings


def test_every_operation_and_strategy_is_there() -> None:
    """With a row of a table each."""
    names = [*READING, *CHANGING, *get_args(Strategy)]
    assert [] == [name for name in names if f"\n| `{name}` |" not in PAGE]


def test_the_numbers_are_those_of_the_code() -> None:
    """Who reads a number can rely on it."""
    numbers = [
        f"at most {MAX_BYTES // 1024} KiB",
        f"1 to {MAX_KEY_BYTES} bytes",
        f"{MAX_MESSAGES:,} messages and {MAX_TOKENS:,} tokens",
        f"every {TIDY_EVERY}th change of any memory removes up to {TIDY_KEYS} such keys",
        f"1 to {MAX_KEYS:,}",
    ]
    assert [] == [number for number in numbers if number not in PAGE]
