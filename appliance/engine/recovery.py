"""Finding the runs that a stop, a crash or a power cut left unfinished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial

import structlog

from appliance import clock
from appliance.engine.admission import Admission
from appliance.engine.changes import Recover, SetAside
from appliance.engine.program import Program, compile_program
from appliance.engine.run import Run, StoredRun, Surroundings, load
from appliance.errors import NotFound
from appliance.failpoint import failpoint
from appliance.store.database import Database, Param, Row, Transaction, settle
from appliance.store.signals import Signals
from appliance.store.task_states import TaskStates
from appliance.store.workflow_states import Definitions, WorkflowStates

PAGE = 200
MAX_RECOVERIES = 5
"""A run that was taken up this often, each time to be cut off within a minute, is set aside."""

STABLE_AFTER = 60.0
"""Seconds without a crash after which recovered runs are no longer under suspicion."""

log = structlog.get_logger(__name__)


async def keep_definitions(database: Database, programs: Iterable[Program]) -> None:
    """Store the definitions that runs will be pinned to. Those stored already cost no write."""
    by_hash = {program.hash: program for program in programs}

    def absent(tx: Transaction) -> list[Program]:
        return [by_hash[name] for name in by_hash if Definitions(tx).get(name) is None]

    rows: list[dict[str, Param]] = [
        {
            "hash": program.hash,
            "workflow_id": program.id,
            "source": program.source.decode(),
            "created_at": clock.now_us(),
        }
        for program in await settle(database.read(absent))
    ]
    if rows:
        await settle(database.write(lambda tx: Definitions(tx).keep(rows)))
        failpoint("definitions.pinned")


async def interrupted(
    database: Database, around: Surroundings, admission: Admission
) -> AsyncIterator[Run]:
    """Yield every run that should go on, and count all that have not ended.

    Those that have not begun stand in line again; those that are paused are left where they are.
    """
    after = ""
    while True:
        page = await settle(database.read(partial(_active, after=after), scan=True))
        for row in page:
            after = row["workflow_exec_id"]
            if row["status"] == "PENDING":
                admission.line_up(after, row["workflow_id"])
                continue
            admission.enter(after, row["workflow_id"])
            if row["status"] in ("PAUSED", "WAITING"):
                admission.rest(after)
            if row["status"] == "PAUSED":
                continue
            try:
                yield await load_run(database, after, around)
            except Exception:
                # One unreadable run must not keep the server, and every other run, from starting.
                log.exception("run.unreadable", exec_id=after)
        if len(page) < PAGE:
            return


def _active(tx: Transaction, *, after: str) -> list[Row]:
    return WorkflowStates(tx).active(after=after, limit=PAGE)


def after_stop(run: Run) -> Recover | SetAside:
    """Return what is to happen to a run that the end of a server cut off."""
    if run.recoveries < MAX_RECOVERIES:
        return Recover(clock.now_us(), suspect=True)
    log.error("run.quarantined", exec_id=run.id)
    return SetAside(clock.now_us())


def stored_run(tx: Transaction, exec_id: str) -> StoredRun | None:
    """Return what is stored of a run, None when there is none."""
    row = WorkflowStates(tx).get(exec_id)
    return None if row is None else StoredRun(row, TaskStates(tx).of_run(exec_id))


async def load_run(database: Database, exec_id: str, around: Surroundings) -> Run:
    """Return a run as it was last stored. Raises NotFound."""

    def rows(tx: Transaction) -> tuple[Row, list[Row], list[Row], str | None]:
        stored = stored_run(tx, exec_id)
        if stored is None:
            msg = f"there is no run {exec_id!r}"
            raise NotFound(msg)
        source = Definitions(tx).get(stored.run["definition_hash"])
        return *stored, Signals(tx).of_run(exec_id), source

    state, tasks, signals, source = await settle(database.read(rows))
    if source is None:
        msg = f"the definition of run {exec_id!r} is missing"
        raise NotFound(msg)
    return load(compile_program(source.encode()), state, tasks, signals, around)
