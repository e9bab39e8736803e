"""Commands to runs: cancel, pause, resume, retry, run again, signal. Who gave one is in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance import ids
from appliance.engine.run import decode
from appliance.language.model import Json
from appliance.operations import audit
from appliance.operations.actors import Actor
from appliance.operations.executions import Started, begin, get_execution, read_rows
from appliance.store.database import settle

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance


async def cancel_execution(appliance: Appliance, actor: Actor, exec_id: str) -> dict[str, Any]:
    """Stop a run and the tools it is running; return its state. Raises NotFound, Conflict."""
    await appliance.engine.cancel(exec_id)
    return await _done(appliance, actor, exec_id, "run.canceled")


async def pause_execution(appliance: Appliance, actor: Actor, exec_id: str) -> dict[str, Any]:
    """Let a run begin nothing new; what is under way ends. Raises NotFound, Conflict."""
    await appliance.engine.pause(exec_id)
    return await _done(appliance, actor, exec_id, "run.paused")


async def resume_execution(appliance: Appliance, actor: Actor, exec_id: str) -> dict[str, Any]:
    """Let a paused run go on. Raises NotFound, or Conflict when it is not paused."""
    await appliance.engine.resume(exec_id)
    return await _done(appliance, actor, exec_id, "run.resumed")


async def retry_execution(appliance: Appliance, actor: Actor, exec_id: str) -> dict[str, Any]:
    """Let a run go on from the task that did not succeed. Raises NotFound, Conflict."""
    await appliance.engine.retry(exec_id)
    return await _done(appliance, actor, exec_id, "run.retried")


async def rerun_execution(
    appliance: Appliance, actor: Actor, exec_id: str, *, idempotency_key: str | None = None
) -> Started:
    """Begin a new run with the input of another one and the definition of today.

    Raises: NotFound (the run, its workflow, or the task that it began with), and what
    `start_execution` raises.
    """
    row, _ = await read_rows(appliance, exec_id)
    former = decode(row["origin"]) or {}
    kept = {name: former[name] for name in ("resource", "task_id") if name in former}
    engine = appliance.engine
    find = engine.task_program if kept.get("resource") == "task" else engine.program
    return await begin(
        appliance,
        actor,
        find(row["workflow_id"]),
        run_input=decode(row["input"]),
        origin={"type": "rerun", "of": exec_id, **kept},
        idempotency_key=idempotency_key,
    )


async def signal_execution(
    appliance: Appliance,
    actor: Actor,
    exec_id: str,
    name: str,
    payload: Json,
    *,
    idempotency_key: str | None = None,
) -> bool:
    """Give a run a signal; return whether a task that waited took it at once.

    The same idempotency key again, to the same run, changes nothing. Raises NotFound, Conflict.
    """
    return await appliance.engine.signal(
        exec_id,
        name,
        payload,
        signal_id=idempotency_key or ids.new_id(),
        source=f"user:{actor.user_id}",
    )


async def _done(appliance: Appliance, actor: Actor, exec_id: str, action: str) -> dict[str, Any]:
    await settle(appliance.db.write(lambda tx: audit.record(tx, actor, action, exec_id)))
    return await get_execution(appliance, exec_id)
