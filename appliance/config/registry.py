"""Every setting as data: its names, its type, its default, whether it is a secret, what it is for.

Names are those of Compozy where the setting exists there. What Compozy had and this program does
not need is known by name too, so that existing files load and a typing error is still an error.
"""

from __future__ import annotations

import msgspec

from appliance.config import values
from appliance.config.values import Reader


class Setting(msgspec.Struct, frozen=True):
    """One setting. `default` is text, read like any other source; `flag` is empty where none exists."""

    path: str
    default: str
    read: Reader
    env: str
    flag: str
    help: str
    secret: bool = False
    in_file: bool = True
    """Whether compozy.yaml may say it: not what is needed to find the file, and not where keys go."""
    aliases: tuple[str, ...] = ()


_LEVELS = values.choice("debug", "info", "warning", "error", aliases={"warn": "warning"})
_LOG_FORMATS = values.choice("auto", "text", "json")
_DRIVERS = values.choice("auto", "sqlite", "postgres", aliases={"postgresql": "postgres"})
_FORMATS = values.choice("auto", "table", "json", "yaml", aliases={"tui": "table"})
_SSL_MODES = values.choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_METHODS = values.choice("post", "put", "patch")
_PORT = values.integer(0, 65535)
_RATE = values.integer(0, 10_000_000)

# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("data_dir", "data", values.text, "COMPOZY_DATA_DIR", "--data-dir",
            "Directory of the database, the admin key, the lock and the backups.", in_file=False),
    Setting("server.host", "127.0.0.1", values.text, "SERVER_HOST", "--host",
            "Address to listen on; 0.0.0.0 opens it to the network."),
    Setting("server.port", "5001", _PORT, "SERVER_PORT", "--port",
            "Port to listen on; 0 takes any free one."),
    Setting("server.auth.enabled", "true", values.flag, "SERVER_AUTH_ENABLED", "--auth-enabled",
            "Ask for an API key; can be off only on a loopback address."),
    Setting("server.timeout", "30s", values.seconds, "SERVER_TIMEOUT", "",
            "Longest time to answer a request."),
    Setting("server.timeouts.http_read_header", "10s", values.seconds,
            "SERVER_HTTP_READ_HEADER_TIMEOUT", "", "Longest time to receive the headers."),
    Setting("server.timeouts.http_read", "30s", values.seconds, "SERVER_HTTP_READ_TIMEOUT", "",
            "Longest time to receive the body of a request."),
    Setting("server.timeouts.http_idle", "60s", values.seconds, "SERVER_HTTP_IDLE_TIMEOUT", "",
            "How long an idle connection stays open."),
    Setting("server.timeouts.server_shutdown", "10s", values.seconds, "SERVER_SHUTDOWN_TIMEOUT", "",
            "How long requests and tool calls may go on after a request to stop."),
    Setting("server.max_body", "4MiB", values.size, "SERVER_MAX_BODY", "",
            "Largest body of a request."),
    Setting("server.cors_enabled", "false", values.flag, "SERVER_CORS_ENABLED", "--cors",
            "Let browsers on other origins call the API."),
    Setting("server.cors.allowed_origins", "", values.items, "SERVER_CORS_ALLOWED_ORIGINS",
            "--cors-allowed-origins", "Origins that may, separated by commas."),
    Setting("database.url", "", values.text, "DATABASE_URL", "",
            "Database as one text: postgresql://, sqlite://, file:, a path or :memory:.", secret=True),
    Setting("database.driver", "auto", _DRIVERS, "DB_DRIVER", "--db-driver",
            "sqlite, postgres, or auto: postgres when any PostgreSQL field is given, else sqlite."),
    Setting("database.path", "", values.text, "DB_PATH", "--db-path",
            "SQLite: file, or :memory:; when absent, app.db in the data directory."),
    Setting("database.conn_string", "", values.text, "DB_CONN_STRING", "",
            "PostgreSQL: URL or libpq text; wins over the fields below.", secret=True),
    Setting("database.host", "localhost", values.text, "DB_HOST", "--db-host",
            "PostgreSQL: host name, or directory of its socket."),
    Setting("database.port", "5432", _PORT, "DB_PORT", "--db-port", "PostgreSQL: port."),
    Setting("database.user", "postgres", values.text, "DB_USER", "--db-user", "PostgreSQL: user."),
    Setting("database.password", "", values.text, "DB_PASSWORD", "", "PostgreSQL: password.",
            secret=True),
    Setting("database.name", "compozy", values.text, "DB_NAME", "--db-name",
            "PostgreSQL: name of the database.", aliases=("database.dbname",)),
    Setting("database.ssl_mode", "disable", _SSL_MODES, "DB_SSL_MODE", "--db-ssl-mode",
            "PostgreSQL: disable, allow, prefer, require, verify-ca or verify-full.",
            aliases=("database.sslmode",)),
    Setting("database.auto_migrate", "true", values.flag, "DB_AUTO_MIGRATE", "--db-auto-migrate",
            "Bring the schema up to date at start."),
    Setting("database.busy_timeout", "5s", values.seconds_or_milliseconds, "DB_BUSY_TIMEOUT", "",
            "SQLite: wait for a lock; a bare whole number means milliseconds."),
    Setting("database.ballast", "16MiB", values.size, "DB_BALLAST", "",
            "SQLite: room that is kept to start on a full disk; 0 keeps none."),
    Setting("database.connect_timeout", "5s", values.seconds, "DB_CONNECT_TIMEOUT",
            "--db-connect-timeout", "PostgreSQL: longest time to connect."),
    Setting("database.max_open_conns", "8", values.integer(1, 1000), "DB_MAX_OPEN_CONNS",
            "--db-max-open-conns", "PostgreSQL: most connections at once."),
    Setting("runtime.log_level", "info", _LEVELS, "RUNTIME_LOG_LEVEL", "--log-level",
            "debug, info, warning or error."),
    Setting("runtime.log_format", "auto", _LOG_FORMATS, "RUNTIME_LOG_FORMAT", "--log-format",
            "text, json, or auto: text on a terminal, JSON otherwise."),
    Setting("runtime.tool_execution_timeout", "60s", values.seconds, "TOOL_EXECUTION_TIMEOUT",
            "--tool-execution-timeout", "Longest time of a tool call that sets none itself."),
    Setting("worker.max_concurrent_workflow_execution_size", "1000", values.integer(0, 1_000_000),
            "WORKER_MAX_CONCURRENT_WORKFLOWS", "",
            "Most runs that are running at once, more wait in line; 0 is any number."),
    Setting("runtime.max_tool_processes", "64", values.integer(1, 4096),
            "RUNTIME_MAX_TOOL_PROCESSES", "--max-tool-processes", "Most tool processes at once."),
    Setting("runtime.tool_memory_limit", "1GiB", values.size, "RUNTIME_TOOL_MEMORY_LIMIT",
            "--tool-memory-limit", "Memory a tool process may use; 0 means no limit."),
    Setting("runtime.native_tools.enabled", "true", values.flag, "RUNTIME_NATIVE_TOOLS_ENABLED",
            "--native-tools-enabled", "Offer the tools that are built in, cp__*."),
    Setting("runtime.native_tools.root_dir", "", values.text, "RUNTIME_NATIVE_TOOLS_ROOT_DIR",
            "--native-tools-root",
            "Directory that native tools may reach; when absent, that of the project."),
    Setting("runtime.native_tools.additional_roots", "", values.items,
            "RUNTIME_NATIVE_TOOLS_ADDITIONAL_ROOTS", "--native-tools-additional-roots",
            "Further directories that they may reach, separated by commas."),
    Setting("runtime.native_tools.exec.allowlist", "", values.items,
            "RUNTIME_NATIVE_TOOLS_EXEC_ALLOWLIST", "--native-tools-exec-allowlist",
            "Commands that cp__exec may run, names or absolute paths, separated by commas."),
    Setting("runtime.native_tools.exec.timeout", "30s", values.seconds,
            "RUNTIME_NATIVE_TOOLS_EXEC_TIMEOUT", "", "Longest time of a command."),
    Setting("runtime.native_tools.exec.max_stdout_bytes", "2MiB", values.size,
            "RUNTIME_NATIVE_TOOLS_EXEC_MAX_STDOUT_BYTES", "",
            "Most of the standard output of a command that is kept."),
    Setting("runtime.native_tools.exec.max_stderr_bytes", "1KiB", values.size,
            "RUNTIME_NATIVE_TOOLS_EXEC_MAX_STDERR_BYTES", "",
            "Most of the standard error of a command that is kept."),
    Setting("runtime.native_tools.fetch.timeout", "5s", values.seconds,
            "RUNTIME_NATIVE_TOOLS_FETCH_TIMEOUT", "", "Longest time of a cp__fetch, redirects included."),
    Setting("runtime.native_tools.fetch.max_body_bytes", "2MiB", values.size,
            "RUNTIME_NATIVE_TOOLS_FETCH_MAX_BODY_BYTES", "",
            "Most of a body that cp__fetch sends or keeps."),
    Setting("runtime.native_tools.fetch.max_redirects", "5", values.integer(0, 20),
            "RUNTIME_NATIVE_TOOLS_FETCH_MAX_REDIRECTS", "", "Most redirects that cp__fetch follows."),
    Setting("runtime.native_tools.fetch.allowed_methods", "GET,POST,PUT,PATCH,DELETE,HEAD",
            values.items, "RUNTIME_NATIVE_TOOLS_FETCH_ALLOWED_METHODS", "",
            "Methods that cp__fetch may use, separated by commas."),
    Setting("runtime.native_tools.fetch.private_hosts", "", values.items,
            "RUNTIME_NATIVE_TOOLS_FETCH_PRIVATE_HOSTS", "--native-tools-fetch-private-hosts",
            "Names, addresses and networks that cp__fetch may reach though they are not public; * is all."),
    Setting("runtime.native_tools.call_task.enabled", "true", values.flag,
            "RUNTIME_NATIVE_TOOLS_CALL_TASK_ENABLED", "", "Offer cp__call_task."),
    Setting("runtime.native_tools.call_task.default_timeout", "60s", values.seconds,
            "RUNTIME_NATIVE_TOOLS_CALL_TASK_DEFAULT_TIMEOUT", "",
            "Longest time of a cp__call_task that sets none."),
    Setting("runtime.native_tools.call_tasks.enabled", "true", values.flag,
            "RUNTIME_NATIVE_TOOLS_CALL_TASKS_ENABLED", "", "Offer cp__call_tasks."),
    Setting("runtime.native_tools.call_tasks.default_timeout", "60s", values.seconds,
            "RUNTIME_NATIVE_TOOLS_CALL_TASKS_DEFAULT_TIMEOUT", "",
            "Longest time of a cp__call_tasks that sets none."),
    Setting("runtime.native_tools.call_tasks.max_concurrent", "10", values.integer(1, 1000),
            "RUNTIME_NATIVE_TOOLS_CALL_TASKS_MAX_CONCURRENT", "",
            "Most tasks of a cp__call_tasks at once."),
    Setting("runtime.native_tools.call_workflow.enabled", "true", values.flag,
            "RUNTIME_NATIVE_TOOLS_CALL_WORKFLOW_ENABLED", "", "Offer cp__call_workflow."),
    Setting("runtime.native_tools.call_workflow.default_timeout", "300s", values.seconds,
            "RUNTIME_NATIVE_TOOLS_CALL_WORKFLOW_DEFAULT_TIMEOUT", "",
            "Longest time of a cp__call_workflow that sets none."),
    Setting("runtime.native_tools.call_workflows.enabled", "true", values.flag,
            "RUNTIME_NATIVE_TOOLS_CALL_WORKFLOWS_ENABLED", "", "Offer cp__call_workflows."),
    Setting("runtime.native_tools.call_workflows.default_timeout", "300s", values.seconds,
            "RUNTIME_NATIVE_TOOLS_CALL_WORKFLOWS_DEFAULT_TIMEOUT", "",
            "Longest time of a cp__call_workflows that sets none."),
    Setting("runtime.native_tools.call_workflows.max_concurrent", "10", values.integer(1, 1000),
            "RUNTIME_NATIVE_TOOLS_CALL_WORKFLOWS_MAX_CONCURRENT", "",
            "Most runs of a cp__call_workflows at once."),
    Setting("webhooks.default_method", "POST", _METHODS, "WEBHOOKS_DEFAULT_METHOD",
            "--webhook-default-method", "Method of a webhook that names none: POST, PUT or PATCH."),
    Setting("webhooks.default_max_body", "1MiB", values.size, "WEBHOOKS_DEFAULT_MAX_BODY",
            "--webhook-default-max-body", "Largest body of a webhook."),
    Setting("webhooks.default_dedupe_ttl", "10m", values.seconds, "WEBHOOKS_DEFAULT_DEDUPE_TTL",
            "--webhook-default-dedupe-ttl",
            "How long a repeated webhook is refused where dedupe sets no ttl."),
    Setting("webhooks.stripe_skew", "5m", values.seconds, "WEBHOOKS_STRIPE_SKEW",
            "--webhook-stripe-skew", "How far the time that a webhook signs may be off."),
    Setting("ratelimit.global_rate.limit", "6000", _RATE, "RATELIMIT_GLOBAL_LIMIT", "",
            "Requests of one address without a valid key in a period; 0 means no limit."),
    Setting("ratelimit.global_rate.period", "1m", values.seconds, "RATELIMIT_GLOBAL_PERIOD", "",
            "The period that this limit is for."),
    Setting("ratelimit.api_key_rate.limit", "6000", _RATE, "RATELIMIT_API_KEY_LIMIT", "",
            "Requests of one API key or session in a period; 0 means no limit."),
    Setting("ratelimit.api_key_rate.period", "1m", values.seconds, "RATELIMIT_API_KEY_PERIOD", "",
            "The period that this limit is for."),
    Setting("stream.heartbeat", "15s", values.seconds, "STREAM_HEARTBEAT", "",
            "How often a stream of events that is silent says that it is there."),
    Setting("node.name", "", values.text, "NODE_NAME", "--node-name",
            "Several servers on one PostgreSQL: what this one is called; when absent, the host name."),
    Setting("node.lease", "10s", values.lease, "NODE_LEASE", "",
            "How long it may be silent until the others take over its runs; at least 3s."),
    Setting("cli.cwd", "", values.text, "COMPOZY_CWD", "--cwd",
            "Directory to work in, as if called from there.", in_file=False),
    Setting("cli.env_file", "", values.text, "COMPOZY_ENV_FILE", "--env-file",
            "File of variables to read instead of .env.", in_file=False),
    Setting("cli.api_key", "", values.text, "COMPOZY_API_KEY", "--api-key",
            "Key to call a server with; when absent, the admin.key of the data directory.",
            secret=True),
    Setting("cli.base_url", "", values.text, "COMPOZY_BASE_URL", "--base-url",
            "Address of a server to call; when absent, the one that holds the data directory.",
            in_file=False),
    Setting("cli.timeout", "30s", values.seconds, "COMPOZY_TIMEOUT", "--timeout",
            "How long to wait for an answer of a server."),
    Setting("cli.default_format", "auto", _FORMATS, "COMPOZY_DEFAULT_FORMAT", "--output",
            "table, json, yaml, or auto: a table on a terminal, JSON otherwise."),
)
# fmt: on

BY_PATH = {setting.path: setting for setting in SETTINGS}
BY_NAME = {name: s for s in SETTINGS if s.in_file for name in (s.path, *s.aliases)}
"""Settings by every name that compozy.yaml may use."""

POSTGRES_FIELDS = tuple(
    f"database.{name}"
    for name in ("conn_string", "host", "port", "user", "password", "name", "ssl_mode")
)

PROJECT_KEYS = frozenset({"runtime.type", "runtime.entrypoint", "runtime.permissions"})
"""What stands in a shared section and is part of the project, not of the configuration."""

_INERT_NAMES = {
    "": "mode temporal limits tasks llm memory redis cache mcp_proxy attachments",
    "server.": "source_of_truth seed_from_repo_on_empty reconciler",
    "server.cors.": "allow_credentials max_age",
    "server.auth.": "admin_key workflow_exceptions api_key_last_used_max_concurrency"
    " api_key_last_used_timeout",
    "server.timeouts.": "monitoring_init monitoring_shutdown db_shutdown worker_shutdown http_write"
    " schedule_retry_max_duration schedule_retry_base_delay schedule_retry_max_delay"
    " schedule_retry_max_attempts schedule_retry_backoff_seconds knowledge_ingest"
    " temporal_reachability start_probe_delay",
    "database.": "migration_timeout max_idle_conns conn_max_lifetime conn_max_idle_time ping_timeout"
    " health_check_timeout health_check_period journal_mode synchronous",
    "runtime.": "environment dispatcher_heartbeat_interval dispatcher_heartbeat_ttl"
    " dispatcher_stale_threshold async_token_counter_workers async_token_counter_buffer_size"
    " task_execution_timeout_default task_execution_timeout_max runtime_type entrypoint_path"
    " bun_permissions max_concurrent_workflows",
    "runtime.native_tools.": "call_agent call_agents",
    "worker.": "config_store_ttl heartbeat_cleanup_timeout mcp_shutdown_timeout"
    " mcp_proxy_health_check_timeout dispatcher dispatcher_retry_delay dispatcher_max_retries"
    " start_workflow_timeout max_concurrent_activity_execution_size"
    " max_concurrent_local_activity_execution_size activity_start_to_close_timeout"
    " activity_heartbeat_timeout activity_max_retries error_handler_timeout"
    " error_handler_max_retries",
    "knowledge.": "embedder_batch_size chunk_size chunk_overlap retrieval_top_k retrieval_min_score"
    " max_markdown_file_size_bytes vector_http_timeout",
    "ratelimit.": "prefix max_retry",
    "stream.": "agent task llm workflow",
    "cli.": "base_url max_retries mode color_mode page_size output_format_alias no_color debug quiet"
    " interactive config_file cwd env_file port_release_timeout port_release_poll_interval"
    " file_watch_interval dev users",
}
_USED = "server database runtime worker knowledge webhooks ratelimit stream node cli"
SECTIONS = frozenset(f"{_USED} {_INERT_NAMES['']}".split())
"""Top-level keys of compozy.yaml that configure the program; `runtime` and `knowledge` are shared."""

INERT = frozenset(prefix + name for prefix, names in _INERT_NAMES.items() for name in names.split())


def is_inert(path: str) -> bool:
    """Tell whether Compozy had this setting (or a group around it) and nothing here needs it."""
    parts = path.split(".")
    return any(".".join(parts[:n]) in INERT for n in range(1, len(parts) + 1))


def is_group(path: str) -> bool:
    """Tell whether settings stand below this name."""
    return any(name.startswith(f"{path}.") for name in (*BY_NAME, *INERT))


def suggestion(path: str) -> str:
    """Return ` Did you mean "x"?` for the nearest name that compozy.yaml may use, or nothing."""
    import difflib

    near = difflib.get_close_matches(path, [*BY_NAME, "knowledge.vector_dbs"], n=1, cutoff=0.75)
    return f' Did you mean "{near[0]}"?' if near else ""
