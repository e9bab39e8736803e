"""Makes changes of runs durable, those of many runs in one transaction.

One transaction is under way at a time; what happens meanwhile goes into the next. So the number of
commits follows the speed of the disk, not the number of runs, and a lone change waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from itertools import islice

from appliance import errors
from appliance.cluster.membership import Membership
from appliance.engine.changes import Changes
from appliance.engine.run import Run
from appliance.failpoint import failpoint
from appliance.store.batch import Batch, save
from appliance.store.database import Database

RETRY_AFTER = 1.0
"""Seconds until changes are offered again to a database that could not take them."""

MOST = 64
"""Runs whose changes are stored in one transaction: to follow them takes the event loop a moment."""

_ELSEWHERE = (errors.StorageFull, errors.Unavailable)
"""Failures that are nobody's fault: the same changes may succeed later."""

_FOR_ALL = (errors.StorageBroken, errors.OutcomeUnknown, errors.Fenced)
"""Failures that no single change caused, and that repeating would make worse."""


class Journal:
    """Collects changes and stores them. All methods are for the event loop's thread."""

    def __init__(
        self,
        database: Database,
        node: Membership,
        stored: Callable[[Changes], None],
        refused: Callable[[Changes, BaseException], None],
    ) -> None:
        self._database = database
        self._node = node
        self._stored = stored
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, Changes] = {}
        self._under_way = 0
        self._scheduled = False

    def changes(self, run: Run) -> Changes:
        """Return the changes of *run* that the next transaction will store; add to them at will."""
        changes = self._pending.get(run.id)
        if changes is None:
            changes = self._pending[run.id] = Changes(run)
        if not self._scheduled and not self._under_way:
            self._schedule(0)
        return changes

    def holds(self, run: Run) -> bool:
        """Whether *run* has changed since the changes that were stored last."""
        return run.id in self._pending

    def forget(self, run: Run) -> Changes | None:
        """Drop and return changes of *run* that were not stored."""
        return self._pending.pop(run.id, None)

    @property
    def idle(self) -> bool:
        """Whether everything is stored."""
        return not self._pending and not self._under_way

    def _schedule(self, delay: float) -> None:
        self._scheduled = True
        self._loop.call_later(delay, self._flush) if delay else self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        batch: list[Changes] = []
        for exec_id in list(islice(self._pending, MOST)):
            changes = self._pending.pop(exec_id)
            if changes.empty:
                self._stored(changes)  # whatever came before it is durable by now
            else:
                batch.append(changes)
        if batch:
            self._write(batch)
        if self._pending and not self._under_way and not self._scheduled:
            self._schedule(0)

    def _write(self, batch: list[Changes]) -> None:
        node_id = self._node.node_id
        if not self._node.is_member:
            self._spoiled(batch, errors.Fenced())
            return
        try:
            rows = _rows(batch, node_id)
        except (TypeError, ValueError, OverflowError) as error:
            self._spoiled(batch, errors.InvalidInput(f"A value of the run is not JSON: {error}."))
            return
        self._under_way += 1
        future = self._database.write(lambda tx: save(tx, rows))
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._written, batch, node_id, done)
        )

    def _written(self, batch: list[Changes], node_id: str | None, future: Future[None]) -> None:
        self._under_way -= 1
        error = future.exception()
        if error is None:
            failpoint("journal.stored")
            for changes in batch:
                _count_versions(changes)
                self._stored(changes)
        elif isinstance(error, errors.Fenced) or node_id != self._node.node_id:
            # Others hold these runs now; to offer them again as another node would pass for theirs.
            self._node.fenced(node_id)
            self._spoiled(batch, error if isinstance(error, _FOR_ALL) else errors.Fenced())
        elif isinstance(error, _ELSEWHERE):
            self._keep(batch, error)
            return
        else:
            self._spoiled(batch, error)
        if self._pending and not self._under_way and not self._scheduled:
            self._schedule(0)

    def _spoiled(self, batch: list[Changes], error: BaseException) -> None:
        """Store changes one by one where one may spoil it for all; refuse what cannot be stored."""
        for changes in batch:
            if len(batch) > 1 and not isinstance(error, _FOR_ALL):
                self._write([changes])
            else:
                self._refused(changes, error)

    def _keep(self, batch: list[Changes], error: BaseException) -> None:
        """Offer changes again later, but tell at once whoever waits for a new run to begin."""
        for changes in batch:
            if changes.run.version == 0:
                self._refused(changes, error)
                continue
            later = self._pending.pop(changes.run.id, None)
            if later is not None:
                changes.merge(later)
            self._pending[changes.run.id] = changes
        if self._pending and not self._scheduled:
            self._schedule(RETRY_AFTER)


def _rows(batch: list[Changes], node_id: str | None) -> Batch:
    rows = Batch(node_id, [], [], [], [], [], [])
    for changes in batch:
        if changes.run_changed:
            (rows.runs if changes.run.version else rows.new_runs).append(changes.run.row())
        for task in changes.tasks.values():
            (rows.tasks if task.version else rows.new_tasks).append(task.row())
        rows.new_signals.extend(signal.row() for signal in changes.new_signals)
        rows.taken_signals.extend(signal.row() for signal in changes.taken_signals)
    return rows


def _count_versions(changes: Changes) -> None:
    if changes.run_changed:
        changes.run.version += 1
    for task in changes.tasks.values():
        task.version += 1
