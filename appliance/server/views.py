"""The forms of JSON that leave the server. Times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from appliance.engine.status import Status
from appliance.operations.actors import Role
from appliance.server.envelope import PageInfo

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class ServiceView(msgspec.Struct, frozen=True):
    """What answers here, and where to read on."""

    name: str
    version: str
    description: str
    api: str
    documentation: str
    openapi: str


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    ok: bool
    detail: str


class LiveView(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str
    version: str


class HealthView(LiveView, frozen=True):
    """The server can do its work; `checks` is what was looked at."""

    ready: bool
    checks: dict[str, Check]


class UserView(msgspec.Struct, frozen=True):
    """Somebody who may use the appliance."""

    id: str
    email: str
    role: Role
    created_at: Time
    updated_at: Time


class UserList(msgspec.Struct, frozen=True):
    """A page of users, oldest first."""

    users: list[UserView]
    page: PageInfo


class KeyView(msgspec.Struct, frozen=True):
    """An API key without its text. `prefix` is the beginning of the text, to recognise it by."""

    id: str
    user_id: str
    prefix: str
    name: str
    description: str
    role: Role
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class KeyList(msgspec.Struct, frozen=True):
    """A page of API keys, oldest first."""

    keys: list[KeyView]
    page: PageInfo


class NewKey(msgspec.Struct, frozen=True):
    """A fresh API key. `api_key` is its text: keep it, it is never shown again."""

    api_key: str
    key: KeyView


class SessionView(msgspec.Struct, frozen=True):
    """A session. Send `token` as a bearer token; it is never shown again."""

    token: str
    expires_at: Time
    user_id: str
    email: str
    role: Role


class ActorView(msgspec.Struct, frozen=True):
    """Who asks. `role` is what counts, `key_id` the API key that was shown, if it was one."""

    user_id: str
    email: str
    role: Role
    key_id: str | None


class AuditView(msgspec.Struct, frozen=True):
    """One thing that was done: when, by whom, to what."""

    id: str
    at: Time
    actor: str
    actor_email: str
    action: str
    subject: str
    details: dict[str, Any]


class AuditList(msgspec.Struct, frozen=True):
    """A page of the audit log, newest first."""

    entries: list[AuditView]
    page: PageInfo


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A server among those that share a database, the oldest of which leads.

    Leases are in seconds; null for a server that has its database for itself.
    """

    id: str
    name: str
    version: str
    url: str
    leads: bool
    runs: int
    calls: int
    lease_age: float | None
    lease_left: float | None
    started_at: Time


class NodeList(msgspec.Struct, frozen=True):
    """Every server, the oldest first."""

    nodes: list[NodeView]


class WorkflowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow of the project. `etag` is the hash of its definition.

    `defined_in` is a file, or `api`; `config`, `schedule` and `triggers` are as they were written,
    without secrets.
    """

    id: str
    version: str
    description: str
    task_count: int
    task_ids: list[str]
    tool_count: int
    agent_count: int
    mcp_count: int
    etag: str
    defined_in: str
    outputs: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    schedule: dict[str, Any] | None = None
    triggers: list[dict[str, Any]] = []


class WorkflowEntry(WorkflowSummary, frozen=True, omit_defaults=True, kw_only=True):
    """A workflow in a listing, with the parts that `expand` asked for."""

    tasks: list[dict[str, Any]] | None = None
    agents: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None


class WorkflowList(msgspec.Struct, frozen=True):
    """A page of workflows, by id."""

    workflows: list[WorkflowEntry]
    page: PageInfo


class WorkflowView(WorkflowSummary, frozen=True, kw_only=True):
    """A workflow with its definition, durations in seconds."""

    tasks: list[dict[str, Any]]
    input: dict[str, Any] | None = None
    env: dict[str, str] = {}
    tools: dict[str, dict[str, Any]] = {}


class ErrorView(msgspec.Struct, frozen=True):
    """Why a run or a task failed."""

    message: str
    code: str | None = None
    details: dict[str, Any] | None = None


class MomentView(msgspec.Struct, frozen=True):
    """A change of state. `number` counts the changes of a run and all its tasks together."""

    number: int
    status: Status
    attempt: int
    at: Time


class TaskView(msgspec.Struct, frozen=True):
    """A task of a run and, by id, the tasks inside it."""

    task_id: str
    task_exec_id: str
    type: str
    status: Status
    attempt: int
    input: Any
    output: Any
    error: ErrorView | None
    history: list[MomentView]
    progress_info: dict[str, Any] | None
    """How many children are in which state; only of a task with children."""
    created_at: Time
    updated_at: Time
    children: dict[str, TaskView]


class ExecutionSummary(msgspec.Struct, frozen=True):
    """A run of a workflow, as listings show it."""

    workflow_exec_id: str
    workflow_id: str
    status: Status
    error: ErrorView | None
    origin: dict[str, Any] | None
    """What began the run: `type` is `api`, `schedule`, `webhook`, `event`, `signal`, `call`, `rerun`."""
    started_by: str | None
    created_at: Time
    updated_at: Time


class ExecutionList(msgspec.Struct, frozen=True):
    """A page of runs, newest first."""

    executions: list[ExecutionSummary]
    page: PageInfo


class ExecutionView(ExecutionSummary, frozen=True):
    """A run of a workflow with its tasks by id."""

    usage: list[dict[str, Any]] | None
    input: Any
    output: Any
    history: list[MomentView]
    tasks: dict[str, TaskView]


class StartedView(msgspec.Struct, frozen=True):
    """A run that was begun; `exec_url` is where its state is."""

    exec_id: str
    exec_url: str
    workflow_id: str


class SyncView(msgspec.Struct, frozen=True):
    """A run that was waited for. `workflow` is its state, `output` what it made."""

    exec_id: str
    workflow: ExecutionView
    output: Any


class BackupView(msgspec.Struct, frozen=True):
    """An archive of the database. `size` is in bytes."""

    name: str
    size: int
    created_at: Time


class BackupList(msgspec.Struct, frozen=True):
    """Every archive, newest first."""

    backups: list[BackupView]


class VerifiedView(msgspec.Struct, frozen=True):
    """What a trial restore found in an archive: rows by table, version of the schema."""

    name: str
    program: str
    driver: str
    created_at: Time
    schema: int
    counts: dict[str, int]
