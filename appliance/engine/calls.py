"""What the engine does for a task itself: it sends events, and runs other workflows and tasks.

A run that a task starts is known by the task: after a crash the same run is waited for, not another
one started.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.config.settings import CallSettings, NativeToolSettings
from appliance.engine.program import Program
from appliance.errors import ApplianceError, Conflict, InvalidInput
from appliance.language.model import Json
from appliance.tools.calls import ToolRequest
from appliance.tools.native import IN_SERVER, PREFIX

if TYPE_CHECKING:
    from appliance.engine.run import Run
    from appliance.engine.runner import Engine

MAX_TOGETHER = 100
"""Runs that one call of cp__call_workflows or cp__call_tasks may start."""


class CallFailed(ApplianceError):
    """A run that a task waited for did not succeed."""

    code = "child_failed"


class CallTimeout(ApplianceError):
    """A run that a task waited for did not end in time."""

    code = "deadline_exceeded"


class CallRefused(ApplianceError):
    """A native tool that is turned off."""

    status, code = 403, "permission_denied"


class _WorkflowCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow_id: str
    input: dict[str, Json] = {}
    initial_task_id: str | None = None
    timeout_ms: float | None = None


class _TaskCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    task_id: str
    with_: dict[str, Json] = msgspec.field(name="with", default={})
    timeout_ms: float | None = None


class _Sub(msgspec.Struct, frozen=True):
    """A run to start and wait for, of a `workflow` or of a `task` by itself."""

    kind: str
    program: Program
    input: dict[str, Json]
    task_id: str | None
    timeout_ms: float | None


def limits_of(settings: NativeToolSettings, tool: str) -> CallSettings:
    """Return what bounds a native tool that starts runs."""
    found: CallSettings = getattr(settings, tool.removeprefix(PREFIX))
    return found


class InternalCalls:
    """Answers calls that the engine can answer itself."""

    def __init__(self, engine: Engine, limits: NativeToolSettings) -> None:
        self._engine = engine
        self._limits = limits

    async def answer(self, request: ToolRequest) -> bytes:
        """Do what a task asks for and return its output as JSON. Raises ApplianceError."""
        arguments = msgspec.json.decode(request.arguments)
        if request.tool in IN_SERVER:
            self._require_enabled(request.tool)
        many = request.tool.endswith("s")
        if request.tool == "signal":
            output = await self._send(request, arguments)
        elif many:
            output = await self._run_all(request, arguments)
        else:
            output = await self._run(request, self._sub(request.tool, arguments), 0)
        return msgspec.json.encode(output)

    def _require_enabled(self, tool: str) -> None:
        if not self._limits.enabled:
            msg = "the native tools are turned off (runtime.native_tools.enabled)"
            raise CallRefused(msg)
        if not limits_of(self._limits, tool).enabled:
            name = tool.removeprefix(PREFIX)
            msg = f"{tool} is turned off (runtime.native_tools.{name}.enabled)"
            raise CallRefused(msg)

    async def _send(self, request: ToolRequest, arguments: dict[str, Json]) -> Json:
        name = str(arguments["id"]).strip()
        task = request.context["task_exec_id"]
        origin = {"type": "signal", "signal": name, "task_exec_id": task}
        found = await self._engine.dispatch(
            name, arguments["payload"], key=f"signal:{task}", origin=origin
        )
        return {
            "signal_dispatched": True,
            "signal_id": name,
            "executions": [each.exec_id for each in found if each.exec_id is not None],
            "refused": {each.workflow_id: each.problem for each in found if each.problem},
        }

    def _sub(self, tool: str, arguments: Any) -> _Sub:
        engine = self._engine
        try:
            if tool.startswith("cp__call_task"):
                task = msgspec.convert(arguments, _TaskCall)
                program = engine.task_program(task.task_id)
                given = program.accept(task.with_)
                return _Sub("task", program, given, None, task.timeout_ms)
            call = msgspec.convert(arguments, _WorkflowCall)
        except msgspec.ValidationError as error:
            msg = f"{tool} cannot take this: {error}"
            raise InvalidInput(msg) from None
        program = engine.program(call.workflow_id)
        given = program.accept(call.input)
        return _Sub("workflow", program, given, call.initial_task_id, call.timeout_ms)

    async def _run_all(self, request: ToolRequest, arguments: dict[str, Json]) -> Json:
        """Run several at once. What becomes of each is told; the call itself succeeds."""
        wanted = arguments.get("workflows" if "workflows" in request.tool else "tasks")
        if not isinstance(wanted, list) or not 0 < len(wanted) <= MAX_TOGETHER:
            msg = f"{request.tool} takes a list of 1 to {MAX_TOGETHER}"
            raise InvalidInput(msg)
        subs = [self._sub(request.tool, each) for each in wanted]
        places = asyncio.Semaphore(limits_of(self._limits, request.tool).max_concurrent)
        results = await asyncio.gather(
            *(self._tell(request, sub, number, places) for number, sub in enumerate(subs))
        )
        succeeded = sum(result["success"] for result in results)
        return {
            "results": results,
            "total_count": len(results),
            "success_count": succeeded,
            "failure_count": len(results) - succeeded,
        }

    async def _tell(
        self, request: ToolRequest, sub: _Sub, number: int, places: asyncio.Semaphore
    ) -> dict[str, Json]:
        try:
            async with places:
                return {"success": True, **await self._run(request, sub, number)}
        except ApplianceError as error:
            failure = {"code": error.code.upper(), "message": error.message}
            return {"success": False, f"{sub.kind}_id": sub.program.id, "failure": failure}

    async def _run(self, request: ToolRequest, sub: _Sub, number: int) -> dict[str, Json]:
        exec_id = await self._begin(request, sub, number)
        timeout = request.timeout if sub.timeout_ms is None else sub.timeout_ms / 1000
        try:
            ended = await self._engine.wait(exec_id, timeout)
        except asyncio.CancelledError:
            await asyncio.shield(self._stop(exec_id))
            raise
        if not ended:
            await self._stop(exec_id)
            msg = f"run {exec_id} of {sub.program.id} did not end within {timeout:g} s"
            raise CallTimeout(msg)
        run = await self._engine.read(exec_id)
        return self._result(sub, run)

    async def _begin(self, request: ToolRequest, sub: _Sub, number: int) -> str:
        """Start a run, or find the one that this task started before it was cut off."""
        context = request.context
        key = f"call:{context['task_exec_id']}:{number}"
        earlier = await self._engine.started_under(key)
        if earlier is not None:
            run = await self._engine.read(earlier)
            if not run.ended or run.status == "SUCCESS":
                return earlier
            key = f"{key}:{context['attempt']}"
        origin = {"type": "call", "task_exec_id": context["task_exec_id"]}
        try:
            return await self._engine.start(
                sub.program,
                sub.input,
                task_id=sub.task_id,
                idempotency_key=key,
                origin=origin,
                nested=True,
            )
        except Conflict:
            found = await self._engine.started_under(key)
            if found is None:
                raise
            return found

    async def _stop(self, exec_id: str) -> None:
        """Cancel a run that nobody waits for any more, unless it has just ended."""
        try:
            await self._engine.cancel(exec_id)
        except Conflict:
            return

    def _result(self, sub: _Sub, run: Run) -> dict[str, Json]:
        if run.status != "SUCCESS":
            cause = run.error or {}
            msg = f"run {run.id} of {run.program.id} ended as {run.status}: {cause.get('message')}"
            raise CallFailed(msg, exec_id=run.id, cause=cause)
        output = run.by_id[run.program.id].output if sub.kind == "task" else run.output
        return {f"{sub.kind}_id": run.program.id, "exec_id": run.id, "output": output}
