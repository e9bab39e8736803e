"""Watching runs: what happened in one, from any point on and then live; or what happens in all.

A run's events have numbers and stay with it, so whoever was away is told the rest, also after a
restart. What happens in all runs is kept for a while only, in memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from appliance import ids
from appliance.engine import history
from appliance.engine.feed import Feed, Overrun, Subscription
from appliance.engine.history import RunEvent
from appliance.engine.status import TERMINAL
from appliance.errors import InvalidInput
from appliance.operations.executions import read_rows

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

KEPT = 4096
"""Events of all runs that are kept for whoever comes back."""


class Past(NamedTuple):
    """What has happened in a run, and whether that is all."""

    events: list[RunEvent]
    ended: bool


async def past_of(appliance: Appliance, exec_id: str, after: int = 0) -> Past:
    """Return the events of a run with numbers above *after*.

    Raises: NotFound; InvalidInput when the run has not got that far, so that the number is not its.
    """
    row, tasks = await read_rows(appliance, exec_id)
    events = history.replay(row, tasks)
    newest = events[-1].number if events else 0
    if after > newest:
        msg = f"run {exec_id} has no event {after} yet, its last one is {newest}; begin without it"
        raise InvalidInput(msg)
    return Past([event for event in events if event.number > after], row["status"] in TERMINAL)


async def watch_execution(
    appliance: Appliance, exec_id: str, after: int = 0
) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a run with numbers above *after*, each once, until it has ended.

    Whoever takes them too slowly is told from the rows what was missed. Raises what `past_of` raises.
    """
    while True:
        with appliance.engine.watching(exec_id) as live:
            past = await past_of(appliance, exec_id, after)
            for event in past.events:
                after = event.number
                yield event
            if past.ended:
                return
            with suppress(Overrun):
                async for event in live:
                    if event.number <= after:
                        continue
                    if event.number > after + 1:
                        break  # stored, but not told: its commit was in doubt
                    after = event.number
                    yield event
                    if event.event == "complete":
                        return


class Ring(Subscription):
    """The last events of all runs, each with a number that counts from the start of the server."""

    def __init__(self, feed: Feed, kept: int = KEPT) -> None:
        super().__init__(feed, None, kept)
        self._kept: deque[RunEvent] = deque(maxlen=kept)
        self._news = asyncio.Event()
        self.boot = ids.new_id()
        """Names this start of the server."""
        self.newest = 0

    def push(self, event: RunEvent) -> None:
        """Keep *event* and wake whoever waits. What a run has made is not kept: it may be large."""
        self._kept.append(event._replace(result=None))
        self.newest += 1
        self._news.set()

    def position(self, last_id: str) -> int | None:
        """Return the number in an id that `watch` gave, None when it does not go on from there."""
        boot, _, number = last_id.rpartition(":")
        known = boot == self.boot and number.isdecimal() and len(number) < 20
        return int(number) if known and self._has(int(number)) else None

    def _has(self, number: int) -> bool:
        """Whether everything after *number* is there."""
        return self.newest - len(self._kept) <= number <= self.newest

    async def watch(self, after: int) -> AsyncGenerator[tuple[int, RunEvent | None], None]:
        """Yield events above number *after* for ever; None for those that were missed."""
        while True:
            if not self._has(after):
                after = self.newest
                yield after, None
            while after < self.newest and self._has(after):
                after += 1
                yield after, self._kept[after - self.newest - 1]
            if after == self.newest:
                self._news.clear()
                await self._news.wait()
