"""Definitions while the database fails: refused and absent, or stored and in force; never between."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import ApplianceError, OutcomeUnknown, Unavailable
from appliance.operations import resources
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from appliance.store.database import Work
from tests.operations.projects import Shop

pytestmark = pytest.mark.anyio

MEMORY = DatabaseSettings(driver="sqlite", path=":memory:")
TEXT = "{id: late, tasks: [{id: only, tool: greet, with: {name: Ada}}]}"


def failed(error: ApplianceError) -> Future[Any]:
    """Return what a database says that could not do its work."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


async def put(appliance: Appliance) -> None:
    await resources.put_resource(appliance, SYSTEM, "workflows", "late", TEXT)


async def test_a_definition_of_unknown_outcome_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the COMMIT was lost: what was stored is in force as soon as it can be read."""
    async with Shop(tmp_path).opened(MEMORY) as appliance:
        await appliance.engine.prepare(appliance.project)
        honest = appliance.db.write

        def unanswered(work: Work[Any]) -> Future[Any]:
            done = honest(work)
            done.result()
            stored = appliance.db.read(lambda tx: tx.all("list_resources")).result()
            return failed(OutcomeUnknown()) if stored else done

        monkeypatch.setattr(appliance.db, "write", unanswered)
        with pytest.raises(OutcomeUnknown):
            await put(appliance)
        monkeypatch.undo()
        async with asyncio.timeout(10):
            while "late" not in appliance.engine.programs:
                await asyncio.sleep(0.01)
        await put(appliance)  # the row is known, so this is a change and no conflict


async def test_a_definition_that_is_stored_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that goes away right after the commit does not make it look refused."""
    async with Shop(tmp_path).opened(MEMORY) as appliance:

        def away(*_: object, **__: object) -> Future[Any]:
            return failed(Unavailable())

        async def reload(_: str | None = None) -> None:
            raise Unavailable

        monkeypatch.setattr(appliance.scheduler, "reload", reload)
        await put(appliance)
        assert "late" in appliance.engine.programs
        monkeypatch.setattr(appliance.db, "write", away)
        with pytest.raises(Unavailable):
            await resources.put_resource(
                appliance, SYSTEM, "workflows", "later", TEXT.replace("late", "later")
            )
        assert "later" not in appliance.engine.programs
