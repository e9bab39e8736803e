"""Makes changes of runs durable, those of many runs in one transaction.

One transaction is under way at a time; what happens meanwhile goes into the next. So the number of
commits follows the speed of the disk, not the number of runs, and a lone change waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from appliance import errors
from appliance.engine.changes import Changes
from appliance.engine.run import Run
from appliance.store.database import Database, Param, Transaction
from appliance.store.task_states import TaskStates
from appliance.store.workflow_states import WorkflowStates

RETRY_AFTER = 1.0
"""Seconds until changes are offered again to a database that could not take them."""

_ELSEWHERE = (errors.StorageFull, errors.Unavailable)
"""Failures that are nobody's fault: the same changes may succeed later."""

_FOR_ALL = (errors.StorageBroken, errors.OutcomeUnknown)
"""Failures that no single change caused, and that repeating would make worse."""

Rows = list[dict[str, Param]]


class Journal:
    """Collects changes and stores them. All methods are for the event loop's thread."""

    def __init__(
        self,
        database: Database,
        stored: Callable[[Changes], None],
        refused: Callable[[Changes, BaseException], None],
    ) -> None:
        self._database = database
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

    def forget(self, run: Run) -> None:
        """Drop changes of *run* that were not stored."""
        self._pending.pop(run.id, None)

    @property
    def idle(self) -> bool:
        """Whether everything is stored."""
        return not self._pending and not self._under_way

    def _schedule(self, delay: float) -> None:
        self._scheduled = True
        self._loop.call_later(delay, self._flush) if delay else self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        batch = [one for one in self._pending.values() if one.run_changed or one.tasks]
        self._pending = {}
        if batch:
            self._write(batch)

    def _write(self, batch: list[Changes]) -> None:
        self._under_way += 1
        rows = _rows(batch)
        future = self._database.write(lambda tx: _save(tx, *rows))
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._written, batch, done)
        )

    def _written(self, batch: list[Changes], future: Future[None]) -> None:
        self._under_way -= 1
        error = future.exception()
        if error is None:
            for changes in batch:
                _count_versions(changes)
                self._stored(changes)
        elif isinstance(error, _ELSEWHERE):
            self._keep(batch, error)
            return
        elif len(batch) > 1 and not isinstance(error, _FOR_ALL):
            for changes in batch:
                self._write([changes])
        else:
            for changes in batch:
                self._refused(changes, error)
        if self._pending and not self._under_way and not self._scheduled:
            self._schedule(0)

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


def _rows(batch: list[Changes]) -> tuple[Rows, Rows, Rows, Rows]:
    """Return new runs, new tasks, changed tasks and changed runs, in the order they are stored."""
    new_runs: Rows = []
    new_tasks: Rows = []
    tasks: Rows = []
    runs: Rows = []
    for changes in batch:
        if changes.run_changed:
            (runs if changes.run.version else new_runs).append(changes.run.row())
        for task in changes.tasks.values():
            (tasks if task.version else new_tasks).append(task.row())
    return new_runs, new_tasks, tasks, runs


def _save(tx: Transaction, new_runs: Rows, new_tasks: Rows, tasks: Rows, runs: Rows) -> None:
    if new_runs:
        WorkflowStates(tx).insert(new_runs)
    if tasks:
        TaskStates(tx).update(tasks)
    if new_tasks:
        TaskStates(tx).insert(new_tasks)
    if runs:
        WorkflowStates(tx).update(runs)


def _count_versions(changes: Changes) -> None:
    if changes.run_changed:
        changes.run.version += 1
    for task in changes.tasks.values():
        task.version += 1
