"""What runs did since they were stored last, kept in one transaction and in few round trips."""

from __future__ import annotations

from typing import NamedTuple

from appliance.errors import Fenced, VersionConflict
from appliance.store.database import Param, Transaction

Rows = list[dict[str, Param]]


class Batch(NamedTuple):
    """Rows of runs, in the order they are stored. `version` is the one that a row must still have.

    They are those of the node `node_id`, where several share the database.
    """

    node_id: str | None
    new_runs: Rows
    tasks: Rows
    new_tasks: Rows
    new_signals: Rows
    taken_signals: Rows
    runs: Rows


def save(tx: Transaction, rows: Batch) -> None:
    """Store *rows*.

    Raises: Fenced when the node is no member any more; VersionConflict when a run or task changed
    since it was read; Conflict when an id, a number or an idempotency key is taken, or a row refers
    to one that is not there.
    """
    holding = [] if rows.node_id is None else [("hold_node", [{"id": rows.node_id}])]
    *held, _, tasks, _, _, _, runs = tx.together(
        "save_batch",
        *holding,
        ("insert_workflow_states", rows.new_runs),
        ("update_task_states", rows.tasks),
        ("insert_task_states", rows.new_tasks),
        ("insert_signals", rows.new_signals),
        ("update_signals", rows.taken_signals),
        ("update_workflow_states", rows.runs),
    )
    if held == [0]:
        raise Fenced
    if (tasks, runs) != (len(rows.tasks), len(rows.runs)):
        raise VersionConflict
