"""All tools that run in processes: the functions of the project, and the native tools beside them.

They have processes of their own, so the native tools are the same whatever language the functions
are written in, work without any function, and share nothing with the code of a project.
"""

from __future__ import annotations

import asyncio

import msgspec

from appliance.tools.calls import Call, Done, ToolFailure, ToolRequest
from appliance.tools.native import PREFIX
from appliance.tools.pool import ToolPool, ToolRuntime

TURNED_OFF = "The native tools are turned off (runtime.native_tools.enabled)."


class _Refused:
    """A call of a native tool where these are turned off."""

    def __init__(self, done: Done) -> None:
        failure = ToolFailure("PermissionDenied", TURNED_OFF, {}, retryable=False)
        self._handle = asyncio.get_running_loop().call_soon(done, failure)

    def kill(self) -> None:
        """Deliver nothing."""
        self._handle.cancel()


class ToolPools:
    """Runs calls of tools, each in the pool that it belongs to; `runtime.native` may be None."""

    def __init__(self, runtime: ToolRuntime) -> None:
        self._functions = ToolPool(_functions(runtime))
        self._native = ToolPool(_native(runtime)) if runtime.native else None

    @property
    def problem(self) -> str | None:
        """Why functions cannot be called, as a clause, or None when they can."""
        return self._functions.problem

    async def open(self) -> None:
        """Import the entrypoint in a process of its own. Raises nothing: see `problem`.

        The native tools get a process with their first call.
        """
        if self._native is not None:
            await self._native.open()
        await self._functions.open()

    async def reload(self, runtime: ToolRuntime) -> None:
        """Import the functions anew for the calls to come; see `ToolPool.reload`."""
        await self._functions.reload(_functions(runtime))

    async def close(self) -> None:
        """Kill every process and return when they are gone. Open calls get no outcome."""
        if self._native is not None:
            await self._native.close()
        await self._functions.close()

    def submit(self, request: ToolRequest, done: Done) -> Call:
        """Begin a call. *done* gets the outcome on the event loop, later, unless the call is killed."""
        if not request.tool.startswith(PREFIX):
            return self._functions.submit(request, done)
        return self._native.submit(request, done) if self._native else _Refused(done)


def _functions(runtime: ToolRuntime) -> ToolRuntime:
    return msgspec.structs.replace(runtime, native=None)


def _native(runtime: ToolRuntime) -> ToolRuntime:
    """Return how the native tools are run: without anything that belongs to the project."""
    return msgspec.structs.replace(runtime, entrypoint=None, language="python", env={})
