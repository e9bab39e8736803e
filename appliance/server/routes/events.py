"""Events: `/events`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.params import JSONBody

from appliance.operations import events
from appliance.server.envelope import Envelope
from appliance.server.request import ApiRequest
from appliance.server.routes.executions import IdempotencyKey
from appliance.server.views import StartedView


class SentEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event to send. The payload becomes the input of the runs that it starts."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    payload: dict[str, Any] | None = None


class RefusedView(msgspec.Struct, frozen=True):
    """A workflow that listens to the event and was not started, for the payload does not fit."""

    workflow_id: str
    reason: str


class EventView(msgspec.Struct, frozen=True):
    """What an event did."""

    event_id: str
    executions: list[StartedView]
    refused: list[RefusedView]


@post("/events", status_code=202, tags=["events"])
async def send_event(
    request: ApiRequest,
    data: JSONBody[SentEvent],
    idempotency_key: IdempotencyKey = None,
) -> Response[Envelope[EventView]]:
    """Start every workflow that listens to the event. The runs are durable when this answers.

    Nobody has to listen. A workflow that the payload does not fit is not started; `refused` says
    why. The same `Idempotency-Key` starts each workflow once.
    """
    sent = await events.send_event(
        request.appliance,
        request.actor,
        data.name,
        data.payload or {},
        idempotency_key=idempotency_key,
    )
    view = EventView(
        event_id=sent.event_id,
        executions=[
            StartedView(
                exec_id=found.exec_id,
                exec_url=f"/api/v0/executions/workflows/{found.exec_id}",
                workflow_id=found.workflow_id,
            )
            for found in sent.outcomes
            if found.exec_id is not None
        ],
        refused=[
            RefusedView(workflow_id=found.workflow_id, reason=found.problem)
            for found in sent.outcomes
            if found.problem is not None
        ],
    )
    message = _summary(data.name, view)
    return Response(Envelope(data=view, message=message, status=202))


def _summary(name: str, view: EventView) -> str:
    if not view.executions and not view.refused:
        return f"Event accepted; no workflow listens to {name!r}, so nothing was started"
    refused = f", {len(view.refused)} refused" if view.refused else ""
    return f"Event accepted; {len(view.executions)} started{refused}"


HANDLERS = [send_event]
