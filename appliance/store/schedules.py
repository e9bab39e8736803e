"""Schedules as the server knows them: how far they are dealt with, what was overridden, the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.store.database import Param, Row, Transaction

KEPT_TICKS = 300
"""Entries of the ledger of each schedule that are kept."""

NEWEST = 2**62
"""More than the number of any entry: where a listing from the newest on begins."""


class Schedules:
    """Schedules by workflow, each with a ledger of its ticks. Works in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def all(self) -> list[Row]:
        """Return every schedule that was ever seen."""
        return self._tx.all("list_schedules")

    def get(self, workflow_id: str) -> Row | None:
        """Return one schedule, or None."""
        return self._tx.one("get_schedule", workflow_id=workflow_id)

    def begin(self, rows: Sequence[Mapping[str, Param]]) -> None:
        """Note from when on ticks count, of schedules that are new or were changed."""
        self._tx.many("begin_schedule", rows)

    def advance(
        self,
        workflow_id: str,
        *,
        last_tick: int,
        waiting_tick: int | None,
        entries: Sequence[Mapping[str, Param]],
    ) -> None:
        """Note up to where a schedule is dealt with, and add *entries* to its ledger."""
        self._tx.run(
            "advance_schedule",
            workflow_id=workflow_id,
            last_tick=last_tick,
            waiting_tick=waiting_tick,
        )
        self.record(workflow_id, entries)

    def record(self, workflow_id: str, entries: Sequence[Mapping[str, Param]]) -> None:
        """Add *entries* to the ledger of a schedule, each run once, and forget the oldest."""
        for entry in entries:
            if entry["exec_id"] is None or not self._has_run(workflow_id, entry["exec_id"]):
                self._insert(workflow_id, entry)
        if entries:
            self._tx.run("prune_schedule_ticks", workflow_id=workflow_id, keep=KEPT_TICKS)

    def override(
        self,
        workflow_id: str,
        *,
        enabled: bool | None,
        cron: str | None,
        timezone: str | None,
        changed_by: str | None,
        changed_at: int | None,
    ) -> None:
        """Put values in the place of those of the project; None is none."""
        self._tx.run(
            "override_schedule",
            workflow_id=workflow_id,
            enabled=None if enabled is None else int(enabled),
            cron=cron,
            timezone=timezone,
            changed_by=changed_by,
            changed_at=changed_at,
        )

    def ticks(self, workflow_id: str, *, before: int, limit: int) -> list[Row]:
        """Return entries of the ledger, newest first, with numbers less than *before*."""
        return self._tx.all(
            "list_schedule_ticks", workflow_id=workflow_id, before=before, row_limit=limit
        )

    def latest_tick(self, workflow_id: str, now_us: int) -> int | None:
        """Return the last tick in the ledger that is not after *now_us*, or None."""
        row = self._tx.one("latest_schedule_tick", workflow_id=workflow_id, now=now_us)
        return None if row is None else row["tick"]

    def open_runs(self) -> list[Row]:
        """Return the runs that schedules started and that have not ended, oldest first."""
        return self._tx.all("list_scheduled_runs")

    def run_status(self, exec_id: str) -> str | None:
        """Return how a run stands, or None when there is none."""
        row = self._tx.one("get_run_status", workflow_exec_id=exec_id)
        return None if row is None else str(row["status"])

    def _insert(self, workflow_id: str, entry: Mapping[str, Param]) -> None:
        self._tx.run("count_schedule_tick", workflow_id=workflow_id)
        self._tx.run("insert_schedule_tick", workflow_id=workflow_id, **entry)
        if entry["exec_id"] is not None:
            self._tx.run(
                "note_schedule_run",
                workflow_id=workflow_id,
                exec_id=entry["exec_id"],
                at=entry["at"],
            )

    def _has_run(self, workflow_id: str, exec_id: Param) -> bool:
        found = self._tx.one("find_schedule_run", workflow_id=workflow_id, exec_id=exec_id)
        return found is not None
