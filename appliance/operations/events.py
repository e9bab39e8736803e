"""Events: messages that start every workflow with a trigger of their name."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

import structlog

from appliance import ids
from appliance.engine.triggers import Dispatched
from appliance.language.model import Json
from appliance.operations.actors import Actor

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

log = structlog.get_logger(__name__)


class Sent(NamedTuple):
    """An event, and what it did to each workflow that listens to it."""

    event_id: str
    outcomes: list[Dispatched]


async def send_event(
    appliance: Appliance,
    actor: Actor,
    name: str,
    payload: dict[str, Json],
    *,
    idempotency_key: str | None = None,
) -> Sent:
    """Start every workflow that listens to *name*; the runs are durable when this returns.

    A workflow that *payload* does not fit is not started, its outcome says why. An event that
    nobody listens to is no error. The same idempotency key (per user) is the same event: it starts
    each workflow once. Raises the errors of `Database.write`; then the same key may be sent again.
    """
    event_id = _identity(actor, idempotency_key) if idempotency_key else ids.new_id()
    origin: dict[str, Json] = {"type": "event", "event": name, "event_id": event_id}
    outcomes = await appliance.engine.dispatch(
        name, payload, key=f"event:{event_id}", origin=origin, started_by=actor.user_id
    )
    if not outcomes:
        log.info("event.unheard", name=name, event_id=event_id)
    return Sent(event_id, outcomes)


def _identity(actor: Actor, key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{actor.user_id}:{key}"))
