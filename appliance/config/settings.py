"""Settings: what a process was told to do. Built once by `load`, then passed down, never changed.

Durations are seconds, sizes are bytes, paths are absolute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the HTTP server listens and how long it waits."""

    host: str = "127.0.0.1"
    port: int = 5001
    auth_enabled: bool = True
    timeout: float = 30.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    idle_timeout: float = 60.0
    shutdown_timeout: float = 10.0
    max_body: int = 4 << 20
    cors_enabled: bool = False
    cors_allowed_origins: tuple[str, ...] = ()


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which database, and how to reach it. `path` belongs to sqlite, `conninfo` to postgres."""

    driver: Literal["sqlite", "postgres"] = "sqlite"
    path: str = ""
    """Absolute path of the file, or `:memory:`; empty for postgres."""
    conninfo: str = ""
    """Connection URL or `key=value` text of libpq, a secret; empty for sqlite."""
    auto_migrate: bool = True
    busy_timeout: float = 5.0
    connect_timeout: float = 5.0
    max_open_conns: int = 8
    ballast: int = 0

    def __repr__(self) -> str:
        return f"DatabaseSettings({self.driver}, {self.path or 'conninfo hidden'})"


class CallSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A native tool that starts runs. `max_concurrent` is how many of one call go on at once."""

    enabled: bool = True
    timeout: float = 60.0
    max_concurrent: int = 10


class NativeToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the native tools, `cp__*`, may do. Without a `root_dir` it is that of the project."""

    enabled: bool = True
    root_dir: Path | None = None
    additional_roots: tuple[Path, ...] = ()
    commands: tuple[str, ...] = ()
    exec_timeout: float = 30.0
    max_stdout: int = 2 << 20
    max_stderr: int = 1 << 10
    fetch_timeout: float = 5.0
    max_body: int = 2 << 20
    max_redirects: int = 5
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
    private_hosts: tuple[str, ...] = ()
    call_task: CallSettings = CallSettings()
    call_tasks: CallSettings = CallSettings()
    call_workflow: CallSettings = CallSettings(timeout=300.0)
    call_workflows: CallSettings = CallSettings(timeout=300.0)


class RuntimeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What runs and tools may use."""

    max_runs: int = 1000
    """Runs that are running at once; more wait in line. 0 = no bound."""
    tool_execution_timeout: float = 60.0
    max_tool_processes: int = 64
    tool_memory_limit: int = 1 << 30
    native_tools: NativeToolSettings = NativeToolSettings()


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What counts for a webhook that says nothing else."""

    method: str = "POST"
    max_body: int = 1 << 20
    dedupe_ttl: float = 600.0
    skew: float = 300.0
    """Seconds that a signed time may be off."""


class RateLimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests may be made in a period of so many seconds; 0 means any number."""

    address_limit: int = 6000
    address_period: float = 60.0
    key_limit: int = 6000
    key_period: float = 60.0


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What counts for a stream of events."""

    heartbeat: float = 15.0


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A server among those that share a PostgreSQL database."""

    name: str = ""
    lease: float = 10.0
    """Seconds of silence after which the others take over its runs."""


class CliSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the command line finds a server and prints. An empty `base_url` means: look for one."""

    api_key: str = ""
    base_url: str = ""
    timeout: float = 30.0
    format: Literal["auto", "table", "json", "yaml"] = "auto"

    def __repr__(self) -> str:
        return f"CliSettings(base_url={self.base_url!r}, format={self.format!r})"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a process."""

    cwd: Path
    data_dir: Path
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings
    runtime: RuntimeSettings = RuntimeSettings()
    webhooks: WebhookSettings = WebhookSettings()
    ratelimit: RateLimitSettings = RateLimitSettings()
    stream: StreamSettings = StreamSettings()
    node: NodeSettings = NodeSettings()
    cli: CliSettings = CliSettings()
    knowledge_vector_dbs: tuple[dict[str, Any], ...] = ()
    """Entries of `knowledge.vector_dbs` in compozy.yaml, as written."""
    env_files: tuple[Path, ...] = ()
    """Files of variables that were read or would have been: they may hold secrets."""
