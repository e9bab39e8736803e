"""Foreign runs: those that another node holds, for whoever waits for them or watches them here.

Whoever does tells the others which run it is, now and then again, so that nobody is told of runs
that nobody looks at. What is told may be lost, so they are looked at once in a while anyhow.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from appliance import clock
from appliance.background import Background
from appliance.cluster.membership import Membership
from appliance.engine import history
from appliance.engine.driver import EVERY_RUN, Driver
from appliance.engine.recovery import stored_run
from appliance.engine.run import StoredRun
from appliance.engine.status import TERMINAL
from appliance.errors import ApplianceError
from appliance.store.database import Database, Row, Transaction, settle

LOOK_AGAIN = 2.0
"""Seconds after which a run is looked at of which nothing was told."""

TOGETHER = 0.05
"""Seconds for which news of many runs gather."""

AT_ONCE = 64
"""Runs that are read in one transaction."""

REMEMBERED = 10_000
"""Runs of which it is kept up to where they were told."""

WANTED_FOR = 10.0
"""Seconds for which others tell of a run after they heard that it is watched."""


class Foreign:
    """Hears which runs moved elsewhere, and tells those who wait or watch here. For one event loop."""

    def __init__(self, database: Database, node: Membership, driver: Driver) -> None:
        self._database = database
        self._driver = driver
        self._watched: Counter[str] = Counter()
        self._looks = Background()
        self._poll: asyncio.TimerHandle | None = None
        self._node = node
        self._telling = False
        self._news: dict[str, int] = {}
        """Runs that moved elsewhere, and the first number that is new, for those who watch all."""
        self._told: dict[str, int] = {}
        """Up to which number those were told; news of what was read already may still come."""
        node.hear("moved", self._moved)
        node.hear("watch", self._want)

    def close(self) -> None:
        """Look at nothing more."""
        self._looks.cancel()
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

    def watch_all(self) -> None:
        """Tell those who watch all runs what happens elsewhere, from now on."""
        if self._node.shared and EVERY_RUN not in self._watched:
            self._watched[EVERY_RUN] = 1
            self._node.tell("watch", EVERY_RUN)
            self._poll_later()

    def _want(self, exec_id: str) -> None:
        """Tell of a run for a while, for it is watched elsewhere."""
        if exec_id == EVERY_RUN or exec_id in self._driver.live:
            self._driver.wanted[exec_id] = clock.monotonic() + WANTED_FOR

    def _moved(self, told: str) -> None:
        """Have those look who watch a run here; *told* is its id and the number of its first news."""
        exec_id, _, first = told.partition(" ")
        for known in [exec_id] if exec_id else list(self._watched):
            if known in self._watched and self._is_elsewhere(known):
                self._driver.feed.stir(known)
                self._looks.begin(self._look(known))
        if first and EVERY_RUN in self._watched:
            self._news.setdefault(exec_id, int(first))
            if not self._telling:
                self._telling = True
                self._looks.begin(self._tell_all())

    def _is_elsewhere(self, exec_id: str) -> bool:
        return exec_id != EVERY_RUN and exec_id not in self._driver.live

    async def _tell_all(self) -> None:
        """Tell those who watch all runs the news, a few runs at a time."""
        try:
            while self._news:
                await asyncio.sleep(TOGETHER)
                some = {exec_id: self._news.pop(exec_id) for exec_id in list(self._news)[:AT_ONCE]}
                await self._tell(some)
        finally:
            self._telling = False

    async def _tell(self, news: Mapping[str, int]) -> None:
        with suppress(ApplianceError):  # what is missed now comes with the next news of the run
            read = partial(_rows, exec_ids=list(news))
            for row, tasks in await settle(self._database.read(read)):
                self._publish(row, tasks, news[row["workflow_exec_id"]])

    def _publish(self, row: Row, tasks: Sequence[Row], first: int) -> None:
        exec_id = row["workflow_exec_id"]
        told = self._told.pop(exec_id, first - 1)
        events = history.replay(row, tasks, after=told)
        self._driver.feed.publish_to_all(events)
        self._told[exec_id] = events[-1].number if events else told
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    def _poll_later(self) -> None:
        if self._poll is None:
            self._poll = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._poll = None
        self._moved("")
        for exec_id in self._watched:
            if exec_id == EVERY_RUN or self._is_elsewhere(exec_id):
                self._node.tell("watch", exec_id)
        if self._watched:
            self._poll_later()

    async def _look(self, exec_id: str) -> None:
        """Tell those who wait for a run when it has ended."""
        try:
            stored = await settle(self._database.read(partial(stored_run, exec_id=exec_id)))
        except ApplianceError:  # it is looked at again
            return
        if stored is not None and stored.run["status"] in TERMINAL:
            self._driver.tell_end(exec_id, stored)


def _rows(tx: Transaction, *, exec_ids: list[str]) -> list[StoredRun]:
    found = (stored_run(tx, exec_id) for exec_id in exec_ids)
    return [stored for stored in found if stored is not None]
