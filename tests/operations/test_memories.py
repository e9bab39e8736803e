"""Memories of a project that is loaded again while it is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import NotFound
from appliance.memory.order import Order
from appliance.operations.actors import SYSTEM
from appliance.operations.memories import ask_memory
from tests.operations.projects import Shop

pytestmark = pytest.mark.anyio


async def test_memories_follow_the_files(sqlite_settings: DatabaseSettings, tmp_path: Path) -> None:
    """A new one can be used at once, new limits count, and what is stored stays."""
    shop = Shop(tmp_path)
    order = Order("chat", "k", ["1", "2", "3"])
    async with shop.opened(sqlite_settings) as appliance:
        with pytest.raises(NotFound, match="declares none under `memories`"):
            await ask_memory(appliance, SYSTEM, "append", order)
        shop.write(
            "compozy.yaml", (tmp_path / "compozy.yaml").read_text() + "memories: [{id: chat}]\n"
        )
        await appliance.reload()
        await ask_memory(appliance, SYSTEM, "append", order)
        shop.replace("compozy.yaml", "{id: chat}", "{id: chat, max_messages: 2}")
        await appliance.reload()
        answer = (await ask_memory(appliance, SYSTEM, "read", Order("chat", "k"))).answer
        assert 3 == answer["count"]
        outcome = await ask_memory(appliance, SYSTEM, "append", Order("chat", "k", "4"))
        assert 2 == outcome.answer["total_count"]
