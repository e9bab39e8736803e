"""Live events of runs, for whoever watches. Events are told once they are durable."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from appliance.engine.history import RunEvent


class Overrun(Exception):
    """Whoever watches is too slow: events were dropped. They can be read again from the rows."""


class Subscription:
    """The events of one run, or of all, from now on. An asynchronous iterator; close it with `with`."""

    def __init__(self, feed: Feed, exec_id: str | None, limit: int) -> None:
        self._feed = feed
        self.exec_id = exec_id
        self._limit = limit
        self._events: deque[RunEvent] = deque()
        self._overrun = False
        self._wake = asyncio.Event()

    def __enter__(self) -> Self:
        self._feed.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._feed.remove(self)

    def push(self, event: RunEvent) -> None:
        """Take an event; when there are too many, forget them all."""
        if len(self._events) >= self._limit:
            self.drop()
        else:
            self._events.append(event)
            self._wake.set()

    def drop(self) -> None:
        """Forget what was not taken yet; whoever watches reads it from the rows."""
        self._events.clear()
        self._overrun = True
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        """Return the next event. Raises Overrun once events were dropped."""
        while not self._events and not self._overrun:
            self._wake.clear()
            await self._wake.wait()
        if self._overrun:
            self._overrun = False
            self._events.clear()
            raise Overrun
        return self._events.popleft()


class Feed:
    """Hands events to subscriptions. For one event loop."""

    def __init__(self) -> None:
        self._subscriptions: defaultdict[str | None, set[Subscription]] = defaultdict(set)

    def subscribe(self, exec_id: str | None, limit: int = 1024) -> Subscription:
        """Return a subscription to a run, or to all; it begins when it is entered."""
        return Subscription(self, exec_id, limit)

    def add(self, subscription: Subscription) -> None:
        """Begin to hand out events."""
        self._subscriptions[subscription.exec_id].add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Stop handing out events."""
        known = self._subscriptions[subscription.exec_id]
        known.discard(subscription)
        if not known:
            del self._subscriptions[subscription.exec_id]

    def stir(self, exec_id: str) -> None:
        """Have whoever watches a run read its events again: they happened elsewhere."""
        for subscription in self._subscriptions.get(exec_id, ()):
            subscription.drop()

    def publish_to_all(self, events: Iterable[RunEvent]) -> None:
        """Tell those who watch all runs what has happened elsewhere."""
        for event in events:
            for subscription in self._subscriptions.get(None, ()):
                subscription.push(event)

    def publish(self, events: Iterable[RunEvent]) -> None:
        """Tell what has become durable."""
        if not self._subscriptions:
            return
        for event in events:
            for key in (event.exec_id, None):
                for subscription in self._subscriptions.get(key, ()):
                    subscription.push(event)
