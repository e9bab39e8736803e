"""Streams of what happens in runs (server-sent events): of one run, of one task, of all runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from litestar import get
from litestar.params import FromPath, HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from appliance.engine.history import RunEvent
from appliance.errors import NotFound, TooManyRequests
from appliance.operations import executions, watching
from appliance.operations.watching import Ring
from appliance.server.contract import answers, raises
from appliance.server.request import ApiRequest
from appliance.server.streams import MEDIA_TYPE, Message, Streams

EVENTS = ("workflow_start", "workflow_status", "task_status", "complete")

_ANY = "|".join(EVENTS)
Events = Annotated[
    str | None,
    QueryParameter(
        pattern=f"^({_ANY})(,({_ANY}))*$",
        description="Only these events; several are separated by commas.",
    ),
]
_RESET = "Events before this one are missing; look at the runs, then go on from here."
_ID = "The id of the last event that was received; what came after it follows."
LastNumber = Annotated[int | None, HeaderParameter(name="Last-Event-ID", ge=0, description=_ID)]
LastNumberQuery = Annotated[int | None, QueryParameter(ge=0, description=_ID)]
LastId = Annotated[
    str | None, HeaderParameter(name="Last-Event-ID", max_length=64, description=_ID)
]
LastIdQuery = Annotated[str | None, QueryParameter(max_length=64, description=_ID)]
_OPT = raises(NotFound, TooManyRequests) | answers(
    204, "The run has ended and everything was received: do not come back"
)


@get(
    "/executions/workflows/{exec_id:str}/stream",
    opt=_OPT,
    media_type=MEDIA_TYPE,
    tags=["executions"],
)
async def stream_execution(
    request: ApiRequest,
    exec_id: FromPath[str],
    *,
    events: Events = None,
    last_event_id: LastNumberQuery = None,
    last_event: LastNumber = None,
) -> ASGIApp:
    """Tell what has happened in a run and what happens, until it has ended. Ids count from 1."""
    return await _stream_run(request, exec_id, events, last_event or last_event_id or 0)


@get(
    "/executions/tasks/{exec_id:str}/stream",
    opt=_OPT,
    media_type=MEDIA_TYPE,
    tags=["executions"],
)
async def stream_task(
    request: ApiRequest,
    exec_id: FromPath[str],
    *,
    events: Events = None,
    last_event_id: LastNumberQuery = None,
    last_event: LastNumber = None,
) -> ASGIApp:
    """Tell what has happened to a task run by itself and what happens, until it has ended."""
    await executions.get_task_execution(request.appliance, exec_id)
    return await _stream_run(request, exec_id, events, last_event or last_event_id or 0)


@get("/executions/stream", opt=raises(TooManyRequests), media_type=MEDIA_TYPE, tags=["executions"])
async def stream_all(
    request: ApiRequest,
    *,
    events: Events = None,
    workflow_id: Annotated[
        str, QueryParameter(max_length=256, description="Only runs of this workflow.")
    ] = "",
    last_event_id: LastIdQuery = None,
    last_event: LastId = None,
) -> ASGIApp:
    """Tell what happens in all runs from now on.

    After a `reset` some events are missing: they are too old, or the server was started anew.
    """
    streams = _streams(request)
    ring = streams.ring
    last_id = last_event or last_event_id
    after = ring.newest if last_id is None else ring.position(last_id)
    messages = _all(ring, after, events or "", workflow_id)
    return streams.stream(request.actor, messages)


async def _stream_run(request: ApiRequest, exec_id: str, events: str | None, after: int) -> ASGIApp:
    past = await watching.past_of(request.appliance, exec_id, after)
    if past.ended and not past.events:
        return ASGIResponse(status_code=204)
    found = watching.watch_execution(request.appliance, exec_id, after)
    return _streams(request).stream(request.actor, _numbered(found, events or ""))


async def _numbered(
    found: AsyncGenerator[RunEvent, None], events: str
) -> AsyncGenerator[Message, None]:
    async with aclosing(found):
        async for event in found:
            if not events or event.event in events.split(","):
                yield Message(event.event, event.data, str(event.number))


async def _all(
    ring: Ring, after: int | None, events: str, workflow_id: str
) -> AsyncGenerator[Message, None]:
    async with aclosing(ring.watch(-1 if after is None else after)) as found:
        async for number, event in found:
            name = f"{ring.boot}:{number}"
            if event is None:
                yield Message("reset", {"message": _RESET}, name)
            elif _wanted(event, events, workflow_id):
                yield Message(event.event, {**event.data, "number": event.number}, name)


def _wanted(event: RunEvent, events: str, workflow_id: str) -> bool:
    return (not events or event.event in events.split(",")) and workflow_id in (
        "",
        event.workflow_id,
    )


def _streams(request: ApiRequest) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


HANDLERS = [stream_execution, stream_task, stream_all]
