"""Schedules of workflows: `/schedules`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from appliance.engine.status import Status
from appliance.errors import NotFound
from appliance.operations import schedules
from appliance.server.contract import raises
from appliance.server.envelope import Cursor, Envelope, Limit, PageInfo, listing, show
from appliance.server.request import ApiRequest
from appliance.server.views import StartedView, Time


class WrittenSchedule(msgspec.Struct, frozen=True):
    """What the project says, where it can be changed here."""

    cron: str
    timezone: str
    enabled: bool


class ScheduleView(msgspec.Struct, frozen=True):
    """When a workflow starts by itself. `jitter` is in seconds.

    Where `is_override` is true something was changed here; `yaml_config` is what the project says.
    """

    workflow_id: str
    schedule_id: str
    cron: str
    timezone: str
    enabled: bool
    is_override: bool
    overlap_policy: Literal["skip", "allow", "buffer_one", "cancel_other"]
    catch_up: Literal["none", "last", "all"]
    jitter: float
    start_at: Time | None
    end_at: Time | None
    input: dict[str, Any]
    yaml_config: WrittenSchedule
    next_run_time: Time | None
    last_run_time: Time | None
    last_run_status: Status | None
    last_exec_id: str | None
    waiting_tick: Time | None
    changed_by: str | None
    changed_at: Time | None


class ScheduleList(msgspec.Struct, frozen=True):
    """A page of schedules, by workflow."""

    schedules: list[ScheduleView]
    page: PageInfo


class TickView(msgspec.Struct, frozen=True):
    """What became of a tick. `tick` is when the run was due, `at` when that was dealt with."""

    number: int
    tick: Time
    outcome: Literal["started", "skipped", "missed", "failed"]
    exec_id: str | None
    reason: str
    at: Time


class TickList(msgspec.Struct, frozen=True):
    """A page of the ledger of a schedule, newest first."""

    ticks: list[TickView]
    page: PageInfo


class ScheduleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a schedule; what is null or left out stays."""

    enabled: bool | None = None
    cron: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    timezone: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None


@get("/schedules", tags=["schedules"])
async def list_schedules(
    request: ApiRequest, limit: Limit = 50, cursor: Cursor = None
) -> Response[Envelope[ScheduleList]]:
    """List the schedules of the project by workflow."""
    page = await schedules.list_schedules(request.appliance, limit=limit, cursor=cursor)
    return listing(request, ScheduleList, page, limit)


@get("/schedules/{workflow_id:str}", opt=raises(NotFound), tags=["schedules"])
async def get_schedule(request: ApiRequest, workflow_id: FromPath[str]) -> Envelope[ScheduleView]:
    """Show the schedule of a workflow."""
    found = await schedules.get_schedule(request.appliance, workflow_id)
    return Envelope(data=show(ScheduleView, found))


@patch("/schedules/{workflow_id:str}", opt=raises(NotFound), tags=["schedules"])
async def change_schedule(
    request: ApiRequest, workflow_id: FromPath[str], data: JSONBody[ScheduleChange]
) -> Envelope[ScheduleView]:
    """Change a schedule without a change of the project. It counts at once, until it is reset."""
    found = await schedules.change_schedule(
        request.appliance,
        request.actor,
        workflow_id,
        enabled=data.enabled,
        cron=data.cron,
        timezone=data.timezone,
    )
    return Envelope(data=show(ScheduleView, found), message="Schedule changed")


@delete("/schedules/{workflow_id:str}", opt=raises(NotFound), tags=["schedules"])
async def reset_schedule(request: ApiRequest, workflow_id: FromPath[str]) -> None:
    """Take back every change that was made here; what the project says counts again."""
    await schedules.reset_schedule(request.appliance, request.actor, workflow_id)


@post(
    "/schedules/{workflow_id:str}/pause",
    status_code=200,
    opt=raises(NotFound),
    tags=["schedules"],
)
async def pause_schedule(request: ApiRequest, workflow_id: FromPath[str]) -> Envelope[ScheduleView]:
    """Let nothing start by itself until it is resumed. Runs under way go on."""
    found = await schedules.change_schedule(
        request.appliance, request.actor, workflow_id, enabled=False
    )
    return Envelope(data=show(ScheduleView, found), message="Schedule paused")


@post(
    "/schedules/{workflow_id:str}/resume",
    status_code=200,
    opt=raises(NotFound),
    tags=["schedules"],
)
async def resume_schedule(
    request: ApiRequest, workflow_id: FromPath[str]
) -> Envelope[ScheduleView]:
    """Let a workflow start by itself again. What was due meanwhile is not made up for."""
    found = await schedules.change_schedule(
        request.appliance, request.actor, workflow_id, enabled=True
    )
    return Envelope(data=show(ScheduleView, found), message="Schedule resumed")


@post(
    "/schedules/{workflow_id:str}/trigger",
    status_code=202,
    opt=raises(NotFound),
    tags=["schedules"],
)
async def trigger_schedule(
    request: ApiRequest, workflow_id: FromPath[str]
) -> Response[Envelope[StartedView]]:
    """Begin a run with the input of the schedule now, whatever else runs."""
    exec_id = await schedules.trigger_schedule(request.appliance, request.actor, workflow_id)
    url = f"/api/v0/executions/workflows/{exec_id}"
    view = StartedView(exec_id=exec_id, exec_url=url, workflow_id=workflow_id)
    return Response(
        Envelope(data=view, message="Run started", status=202), headers={"location": url}
    )


@get("/schedules/{workflow_id:str}/ticks", opt=raises(NotFound), tags=["schedules"])
async def list_ticks(
    request: ApiRequest, workflow_id: FromPath[str], limit: Limit = 50, cursor: Cursor = None
) -> Response[Envelope[TickList]]:
    """List what became of the ticks of a schedule, newest first; the last 300 are kept."""
    page = await schedules.list_ticks(request.appliance, workflow_id, limit=limit, cursor=cursor)
    return listing(request, TickList, page, limit)


HANDLERS = [
    list_schedules,
    get_schedule,
    change_schedule,
    reset_schedule,
    pause_schedule,
    resume_schedule,
    trigger_schedule,
    list_ticks,
]
