"""A call of a tool: what is asked, what comes of it, and the handle to stop it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    import asyncio

    from appliance.tools.worker import Worker

RETRYABLE = frozenset(
    {
        "TOOL_ERROR",
        "TOOL_TIMEOUT",
        "TOOL_CRASHED",
        "TOOL_QUEUE_TIMEOUT",
        "DeadlineExceeded",
        "Internal",
    }
)
"""Codes of failures that another attempt may not meet."""


class ToolRequest(msgspec.Struct, frozen=True):
    """What to call. `arguments` is a JSON object; `timeout` is in seconds from the start of the call.

    `context` goes to the function's parameter of that name; `env` is set while the call lasts.
    `queue_timeout` is how many seconds it may wait to begin; None = as long as it takes.
    `max_concurrent` is how many calls of the tool there may be at once, 0 = any number.
    """

    tool: str
    arguments: bytes
    context: dict[str, Any]
    timeout: float
    env: dict[str, str] = {}
    queue_timeout: float | None = None
    max_concurrent: int = 0


class ToolResult(msgspec.Struct, frozen=True):
    """What a function returned, as JSON."""

    output: bytes


class ToolFailure(msgspec.Struct, frozen=True):
    """Why there is no result.

    Codes: TOOL_ERROR (the function raised), TOOL_TIMEOUT, TOOL_CRASHED (its process ended),
    TOOL_NOT_FOUND, TOOL_ARGUMENTS (they do not fit the parameters), TOOL_OUTPUT (not JSON, or too
    large), TOOL_UNAVAILABLE (nothing can be called now), TOOL_QUEUE_TIMEOUT (it waited too long to
    begin). Native tools have codes of their own: InvalidArgument, PermissionDenied, FileNotFound,
    CommandNotAllowed, DeadlineExceeded, Internal.
    """

    code: str
    message: str
    details: dict[str, Any]
    retryable: bool


ToolOutcome = ToolResult | ToolFailure
Done = Callable[[ToolOutcome], None]


class Call(Protocol):
    """A call that is under way."""

    def kill(self) -> None:
        """End it; no outcome is delivered any more. Harmless when it has ended already."""
        ...


class Executor(Protocol):
    """Whoever can run calls of one kind: processes of the project's tools, or the appliance itself."""

    def submit(self, request: ToolRequest, done: Done, /) -> Call:
        """Begin a call. *done* gets the outcome on the event loop, later, once."""
        ...


def _nothing(_call: ToolCall) -> None:
    """Nobody wants to know that a call is over."""


class ToolCall:
    """A call that was submitted. Its outcome is delivered once, or never after `kill`."""

    __slots__ = (
        *("_done", "expiry", "frame", "limit", "over", "queue_timeout", "since", "timeout"),
        *("tool", "worker"),
    )

    def __init__(self, request: ToolRequest, done: Done) -> None:
        self.tool = request.tool
        self.timeout = request.timeout
        self.queue_timeout = request.queue_timeout
        self.limit = request.max_concurrent
        self.frame = _frame_of(request)
        self.since = 0.0
        """When it began to wait for a worker, by the clock of the event loop."""
        self.worker: Worker | None = None
        self.expiry: asyncio.TimerHandle | None = None
        """Ends the waiting."""
        self.over: Callable[[ToolCall], None] = _nothing
        """Told when nothing runs for the call any more; it may be told twice."""
        self._done: Done | None = done

    @property
    def open(self) -> bool:
        """Whether an outcome is still owed."""
        return self._done is not None

    def begin(self, worker: Worker) -> None:
        """Take note that *worker* runs the call now."""
        self.worker, self.frame = worker, b""
        self._stop_waiting()

    def kill(self) -> None:
        """End the call and every process it started. Harmless when it has ended already."""
        self._done = None
        self._stop_waiting()
        if self.worker is not None:
            self.worker.abandon(self)
        else:
            self.frame = b""
            self.over(self)

    def finish(self, outcome: ToolOutcome) -> None:
        """Deliver the outcome, unless one was delivered or nobody wants it."""
        self._stop_waiting()
        self.frame = b""
        done, self._done = self._done, None
        self.over(self)
        if done is not None:
            done(outcome)

    def _stop_waiting(self) -> None:
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None


class _Call(msgspec.Struct):
    tool: str
    arguments: msgspec.Raw
    context: dict[str, Any]
    env: dict[str, str]


_encode = msgspec.json.Encoder().encode


def _frame_of(request: ToolRequest) -> bytes:
    call = _Call(request.tool, msgspec.Raw(request.arguments), request.context, request.env)
    body = _encode(call)
    return len(body).to_bytes(4) + body


def unavailable(reason: str, *, retryable: bool = True) -> ToolFailure:
    """Return the failure of a call that could not be made."""
    return ToolFailure("TOOL_UNAVAILABLE", f"No tool can be called: {reason}.", {}, retryable)


def waited_too_long(call: ToolCall) -> ToolFailure:
    """Return the failure of a call that was not begun in time."""
    limit = call.queue_timeout or 0.0
    message = f"The call of {call.tool!r} waited {limit:g} s to begin and was given up."
    return ToolFailure("TOOL_QUEUE_TIMEOUT", message, {"timeout": limit}, retryable=True)


def timed_out(call: ToolCall) -> ToolFailure:
    """Return the failure of a call that used up its time."""
    message = f"The function {call.tool!r} did not return within {call.timeout:g} s and was killed."
    return ToolFailure("TOOL_TIMEOUT", message, {"timeout": call.timeout}, retryable=True)


def crashed(call: ToolCall, how: str, **details: Any) -> ToolFailure:
    """Return the failure of a call whose process is gone; *how* ends the sentence."""
    message = f"The process of the function {call.tool!r} {how}."
    return ToolFailure("TOOL_CRASHED", message, details, retryable=True)


def crashed_with(call: ToolCall, status: int) -> ToolFailure:
    """Return the failure of a call whose process ended with *status* (minus the signal)."""
    if status >= 0:
        return crashed(call, ending(status), exit_code=status)
    name = signal_name(-status)
    hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return crashed(call, ending(status) + hint, signal=name)


def ending(status: int) -> str:
    """Say how a process ended: *status* is its exit code, or minus the signal that killed it."""
    if status < 0:
        return f"was killed by {signal_name(-status)}"
    return f"ended with exit code {status}"


def signal_name(number: int) -> str:
    """Return the name of a signal; real-time signals have only numbers."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
