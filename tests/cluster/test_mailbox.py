"""Commands to a run that another server holds, while that one or the database goes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from appliance.cluster.mailbox import Mailbox
from appliance.errors import Conflict, OutcomeUnknown, Unavailable
from appliance.operations.appliance import Appliance
from appliance.store.database import Work, refused
from tests.engine.test_durable_commands import start, status, until

from .conftest import Pair

pytestmark = pytest.mark.anyio


def mailbox_of(appliance: Appliance) -> Mailbox:
    return appliance.engine._commands._mailbox


async def test_a_database_that_is_back_soon_fails_no_command(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked goes on looking for the answer, for the command may have been done long since."""
    exec_id = await start(pair.second, "approval", question="now?")
    await until(pair.second, exec_id, "WAITING")
    mailbox = mailbox_of(pair.first)
    honest: Callable[..., Future[Any]] = mailbox._db.read
    lost: list[Work[Any]] = []

    def flaky(work: Work[Any]) -> Future[Any]:
        if mailbox._answers and not lost:
            lost.append(work)
            return refused(Unavailable())
        return honest(work)

    monkeypatch.setattr(mailbox._db, "read", flaky)
    await pair.first.engine.pause(exec_id)
    assert lost
    assert "PAUSED" == await status(pair.first, exec_id)


async def test_nobody_is_refused_for_what_was_done(
    pair: Pair, bury: Callable[[Appliance], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a server cancels a run and ends before it can say so, the outcome is unknown, not refused."""
    exec_id = await start(pair.second, "approval", question="now?")
    await until(pair.second, exec_id, "WAITING")
    mailbox = mailbox_of(pair.second)
    act = mailbox._perform

    async def last_act(kind: str, exec_id: str, given: dict[str, Any]) -> Any:
        await act(kind, exec_id, given)
        bury(pair.second)

    monkeypatch.setattr(mailbox, "_perform", last_act)
    with pytest.raises(OutcomeUnknown, match="it may or may not have done it"):
        await pair.first.engine.cancel(exec_id)
    assert "CANCELED" == await status(pair.first, exec_id)
    with pytest.raises(Conflict, match="has ended already"):
        await pair.first.engine.cancel(exec_id)
