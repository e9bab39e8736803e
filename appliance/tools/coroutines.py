"""Calls that run in this process, as coroutines: what the appliance itself does for a task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from appliance.background import Background
from appliance.errors import ApplianceError
from appliance.tools.calls import Done, ToolFailure, ToolOutcome, ToolRequest, ToolResult

log = structlog.get_logger(__name__)

Function = Callable[[ToolRequest], Awaitable[bytes]]
"""Answers a request with JSON. An ApplianceError fails the task with its code and message."""


class CoroutineCall:
    """A call that is under way."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def kill(self) -> None:
        """Stop it. Its outcome is not delivered."""
        self._task.cancel()


class Coroutines:
    """Runs calls of one coroutine function, each as a task of the event loop."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._work = Background()

    def submit(self, request: ToolRequest, done: Done) -> CoroutineCall:
        """Begin a call. *done* gets the outcome on the event loop, later, unless it is killed."""
        return CoroutineCall(self._work.begin(self._run(request, done)))

    async def _run(self, request: ToolRequest, done: Done) -> None:
        done(await self._outcome(request))

    async def _outcome(self, request: ToolRequest) -> ToolOutcome:
        try:
            async with asyncio.timeout(request.timeout):
                return ToolResult(await self._function(request))
        except TimeoutError:
            message = f"{request.tool} did not end within {request.timeout:g} s."
            return ToolFailure("TOOL_TIMEOUT", message, {}, retryable=True)
        except ApplianceError as error:
            code = error.code.upper()
            return ToolFailure(code, error.message, error.details, error.status >= 500)
        except Exception as error:
            # A defect of the appliance must end this task alone.
            log.exception("call.broken", tool=request.tool)
            message = f"{request.tool} failed: {type(error).__name__}: {error}"
            return ToolFailure("INTERNAL", message, {}, retryable=False)
