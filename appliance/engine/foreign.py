"""Foreign runs: those that another node holds, for whoever waits for them or watches them here.

Whoever does tells the others which run it is, now and then again, so that nobody is told of runs
that nobody looks at. What is told may be lost, so they are looked at once in a while anyhow.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from appliance import clock
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

WANTED_FOR = 10.0
"""Seconds for which others tell of a run after they heard that it is watched."""


class Foreign:
    """Hears which runs moved elsewhere, and tells those who wait or watch here. For one event loop."""

    def __init__(self, database: Database, node: Membership, driver: Driver) -> None:
        self._database = database
        self._driver = driver
        self._watched: Counter[str] = Counter()
        self._looks: set[asyncio.Task[None]] = set()
        self._poll: asyncio.TimerHandle | None = None
        self._node = node
        node.hear("moved", self._moved)
        node.hear("watch", self._want)

    def close(self) -> None:
        """Look at nothing more."""
        for look in self._looks:
            look.cancel()
        if self._poll is not None:
            self._poll.cancel()

    @contextmanager
    def watched(self, exec_id: str) -> Iterator[None]:
        """Have whoever waits for a run told of its end for this block, wherever it ends."""
        if not self._node.shared:
            yield
            return
        self._watched[exec_id] += 1
        if exec_id not in self._driver.live:
            self._node.tell("watch", exec_id)
        self._poll_later()
        try:
            yield
        finally:
            self._watched[exec_id] -= 1
            if not self._watched[exec_id]:
                del self._watched[exec_id]

    def _want(self, exec_id: str) -> None:
        """Tell of a run for a while, for it is watched elsewhere."""
        now, wanted = clock.monotonic(), self._driver.wanted
        for known in [known for known, until in wanted.items() if until < now]:
            del wanted[known]
        if exec_id in self._driver.live:
            wanted[exec_id] = now + WANTED_FOR

    def _moved(self, exec_id: str) -> None:
        """Have those look again who wait for a run or watch it here."""
        for known in [exec_id] if exec_id else list(self._watched):
            if known in self._watched and known not in self._driver.live:
                self._driver.feed.stir(known)
                self._looks.add(look := asyncio.create_task(self._look(known)))
                look.add_done_callback(self._looks.discard)

    def _poll_later(self) -> None:
        if self._poll is None:
            self._poll = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._poll = None
        self._moved("")
        for exec_id in self._watched:
            if exec_id not in self._driver.live:
                self._node.tell("watch", exec_id)
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
