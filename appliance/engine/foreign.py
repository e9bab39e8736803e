"""Foreign runs: those that another node holds, for whoever waits for them or watches them here."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from appliance.cluster.membership import Membership
from appliance.engine.driver import Driver
from appliance.engine.run import StoredRun
from appliance.engine.status import TERMINAL
from appliance.errors import ApplianceError
from appliance.store.database import Database, Transaction, settle
from appliance.store.task_states import TaskStates
from appliance.store.workflow_states import WorkflowStates

LOOK_AGAIN = 2.0
"""Seconds after which a run is looked at of which nothing was told."""


class Foreign:
    """Hears which runs moved elsewhere, and tells those who wait or watch here. For one event loop."""

    def __init__(self, database: Database, node: Membership, driver: Driver) -> None:
        self._database = database
        self._driver = driver
        self._shared = node.shared
        self._watched: Counter[str] = Counter()
        self._looks: set[asyncio.Task[None]] = set()
        self._poll: asyncio.TimerHandle | None = None
        node.hear("moved", self._moved)

    def close(self) -> None:
        """Look at nothing more."""
        for look in self._looks:
            look.cancel()
        if self._poll is not None:
            self._poll.cancel()

    @contextmanager
    def watched(self, exec_id: str) -> Iterator[None]:
        """Have whoever waits for a run told of its end for this block, wherever it ends."""
        if not self._shared:
            yield
            return
        self._watched[exec_id] += 1
        self._poll_later()
        try:
            yield
        finally:
            self._watched[exec_id] -= 1
            if not self._watched[exec_id]:
                del self._watched[exec_id]

    def _moved(self, exec_ids: str) -> None:
        moved = exec_ids.split(",") if exec_ids else list(self._watched)
        for exec_id in moved:
            if exec_id in self._watched and exec_id not in self._driver.live:
                self._driver.feed.stir(exec_id)
                self._looks.add(look := asyncio.create_task(self._look(exec_id)))
                look.add_done_callback(self._looks.discard)

    def _poll_later(self) -> None:
        if self._poll is None:
            self._poll = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._poll = None
        self._moved("")
        if self._watched:
            self._poll_later()

    async def _look(self, exec_id: str) -> None:
        """Tell those who wait for a run when it has ended."""
        try:
            stored = await settle(self._database.read(_ended(exec_id)))
        except ApplianceError:  # it is looked at again
            return
        if stored is not None:
            self._driver.tell_end(exec_id, stored)


def _ended(exec_id: str) -> Any:
    def work(tx: Transaction) -> StoredRun | None:
        row = WorkflowStates(tx).get(exec_id)
        if row is None or row["status"] not in TERMINAL:
            return None
        return StoredRun(row, TaskStates(tx).of_run(exec_id))

    return work
