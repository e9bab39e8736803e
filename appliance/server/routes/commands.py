"""Commands to runs: `/executions/workflows/{exec_id}/cancel`, `/pause` and the like."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.params import FromPath, HeaderParameter, JSONBody

from appliance.errors import Conflict, NotFound
from appliance.operations import commands
from appliance.server.contract import raises
from appliance.server.envelope import Envelope, show
from appliance.server.request import ApiRequest
from appliance.server.routes.executions import IdempotencyKey, accepted
from appliance.server.views import ExecutionView, StartedView

_RUN = "/executions/workflows/{exec_id:str}"
_COMMAND = raises(NotFound, Conflict)

SignalKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="A signal with the same key reaches a run once, however often it is sent.",
    ),
]


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signal to give to a run."""

    signal_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    payload: Any = None


class SignalView(msgspec.Struct, frozen=True):
    """A signal that was stored. `delivered`: a task that waited for it has taken it."""

    message: str
    delivered: bool


@post(f"{_RUN}/cancel", status_code=200, opt=_COMMAND, tags=["executions"])
async def cancel_execution(request: ApiRequest, exec_id: FromPath[str]) -> Envelope[ExecutionView]:
    """Stop a run and everything it is doing. It has stopped when this answers."""
    state = await commands.cancel_execution(request.appliance, request.actor, exec_id)
    return Envelope(data=show(ExecutionView, state), message="Run canceled")


@post(f"{_RUN}/pause", status_code=200, opt=_COMMAND, tags=["executions"])
async def pause_execution(request: ApiRequest, exec_id: FromPath[str]) -> Envelope[ExecutionView]:
    """Let a run begin nothing new. Tasks under way end, and their results are kept."""
    state = await commands.pause_execution(request.appliance, request.actor, exec_id)
    return Envelope(data=show(ExecutionView, state), message="Run paused")


@post(f"{_RUN}/resume", status_code=200, opt=_COMMAND, tags=["executions"])
async def resume_execution(request: ApiRequest, exec_id: FromPath[str]) -> Envelope[ExecutionView]:
    """Let a paused run go on, also one that was set aside because the server kept failing with it."""
    state = await commands.resume_execution(request.appliance, request.actor, exec_id)
    return Envelope(data=show(ExecutionView, state), message="Run resumed")


@post(f"{_RUN}/retry", status_code=200, opt=_COMMAND, tags=["executions"])
async def retry_execution(request: ApiRequest, exec_id: FromPath[str]) -> Envelope[ExecutionView]:
    """Let a run that ended badly go on from the task that did not succeed; what succeeded stays."""
    state = await commands.retry_execution(request.appliance, request.actor, exec_id)
    return Envelope(data=show(ExecutionView, state), message="Run goes on")


@post(f"{_RUN}/rerun", status_code=202, opt=_COMMAND, tags=["executions"])
async def rerun_execution(
    request: ApiRequest, exec_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[Envelope[StartedView]]:
    """Begin a new run with the same input and the definition of today."""
    return accepted(
        await commands.rerun_execution(
            request.appliance, request.actor, exec_id, idempotency_key=idempotency_key
        )
    )


@post(f"{_RUN}/signals", status_code=200, opt=_COMMAND, tags=["executions"])
async def signal_execution(
    request: ApiRequest,
    exec_id: FromPath[str],
    data: JSONBody[Signal],
    idempotency_key: SignalKey = None,
) -> Envelope[SignalView]:
    """Give a run a signal. A task that comes to wait for it later gets it too."""
    delivered = await commands.signal_execution(
        request.appliance,
        request.actor,
        exec_id,
        data.signal_name,
        data.payload,
        idempotency_key=idempotency_key,
    )
    message = "A task that waited has taken it" if delivered else "Kept for a task to come"
    return Envelope(data=SignalView(message=message, delivered=delivered), message="Signal stored")


HANDLERS = [
    cancel_execution,
    pause_execution,
    resume_execution,
    retry_execution,
    rerun_execution,
    signal_execution,
]
