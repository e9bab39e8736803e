"""Loading: every source is read once, the strongest wins, and the result is checked as a whole."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from appliance.config import database, registry, sources
from appliance.config.settings import (
    CallSettings,
    CliSettings,
    NativeToolSettings,
    NodeSettings,
    RateLimitSettings,
    RuntimeSettings,
    ServerSettings,
    Settings,
    StreamSettings,
    WebhookSettings,
)
from appliance.config.sources import FileSettings, Given, Origin
from appliance.config.values import absolute
from appliance.errors import InvalidConfiguration

PROJECT_FILE = "compozy.yaml"
MASK = "********"


class Shown(msgspec.Struct, frozen=True):
    """A setting as `config show` prints it: the value as text, a secret masked."""

    setting: str
    value: str
    origin: Origin
    env: str
    flag: str


class Loaded(msgspec.Struct, frozen=True):
    """The settings, and what is worth knowing about how they came to be."""

    settings: Settings
    origins: dict[str, Origin]
    warnings: list[str]
    unused: tuple[str, ...]
    """Names in compozy.yaml that Compozy has and that have no effect here."""
    shown: tuple[Shown, ...]
    env: dict[str, str]
    """What `.env.X` means in a template: the names of the `.env` files, the environment stronger."""


def load(
    flags: Mapping[str, Any],
    cwd: Path,
    environ: Mapping[str, str],
    *,
    project: Path | None = None,
) -> Loaded:
    """Read all sources; *flags* are keyed by the path of the setting, None means not given.

    *project* is the directory of compozy.yaml, or one workflow file (then no compozy.yaml is read);
    without it compozy.yaml is looked for in the working directory. Relative paths, in every source,
    start from the working directory.

    Raises: InvalidConfiguration naming the place and what it must be.
    """
    given_flags = _from_flags(flags)
    cwd = _directory(given_flags, environ, cwd)
    place = cwd if project is None else Path(cwd, project)
    if place.name == PROJECT_FILE:
        place = place.parent
    home = place if place.is_dir() else place.parent
    env_files = _env_files(given_flags, environ, cwd, home)
    dotenv: dict[str, str] = {}
    for each in env_files:
        dotenv.update(sources.read_env_file(each))
    variables = {**dotenv, **environ}
    file = place / PROJECT_FILE
    from_file = sources.read_config_file(file, variables) if file.is_file() else FileSettings()
    given = {
        **from_file.given,
        **sources.from_variables(dotenv, ".env", ".env"),
        **sources.from_variables(environ, "environment", "the environment"),
        **given_flags,
    }
    values = {setting.path: _read(setting, given) for setting in registry.SETTINGS}
    settings, warnings = _build(values, given, cwd, from_file)
    secret = dict.fromkeys((*env_files, home / ".env", cwd / ".env"))
    settings = msgspec.structs.replace(
        settings, env_files=tuple(each.absolute() for each in secret)
    )
    return Loaded(
        settings=settings,
        origins={p: given[p].origin if p in given else "default" for p in values},
        warnings=warnings,
        unused=from_file.unused,
        shown=tuple(_show(setting, given) for setting in registry.SETTINGS),
        env={name: environ.get(name, value) for name, value in dotenv.items()},
    )


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Given]:
    given = {}
    for path, value in flags.items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            given[path] = Given(text, "flag", registry.BY_PATH[path].flag)
    return given


def _directory(flags: Mapping[str, Given], environ: Mapping[str, str], cwd: Path) -> Path:
    chosen = flags["cli.cwd"].text if "cli.cwd" in flags else environ.get("COMPOZY_CWD", "")
    directory = Path(cwd, chosen).absolute()
    if not directory.is_dir():
        raise InvalidConfiguration(f"--cwd: {directory} is not a directory.")
    return directory


def _env_files(
    flags: Mapping[str, Given], environ: Mapping[str, str], cwd: Path, directory: Path
) -> tuple[Path, ...]:
    """Return the named file, or `.env` of the project and, stronger, of the working directory."""
    flag = flags.get("cli.env_file")
    named = flag.text if flag else environ.get("COMPOZY_ENV_FILE", "")
    if named:
        return (Path(cwd, named),)
    found = dict.fromkeys((directory / ".env", cwd / ".env"))
    return tuple(path for path in found if path.is_file())


def _read(setting: registry.Setting, given: Mapping[str, Given]) -> Any:
    source = given.get(setting.path)
    if source is None:
        return setting.read(setting.default)
    try:
        return setting.read(source.text)
    except ValueError as error:
        seen = "" if setting.secret else f' is "{source.text}", but it'
        raise InvalidConfiguration(
            f"{source.where}: {setting.path}{seen} must be {error}."
        ) from None


def _build(
    values: Mapping[str, Any], given: Mapping[str, Given], cwd: Path, file: FileSettings
) -> tuple[Settings, list[str]]:
    data_dir = absolute(values["data_dir"], cwd)
    chosen, warnings = database.choose(values, given.keys(), cwd, data_dir)
    settings = Settings(
        cwd=cwd,
        data_dir=data_dir,
        log_level=values["runtime.log_level"],
        log_format=values["runtime.log_format"],
        server=_server(values),
        database=chosen,
        runtime=RuntimeSettings(
            max_runs=values["worker.max_concurrent_workflow_execution_size"],
            tool_execution_timeout=values["runtime.tool_execution_timeout"],
            max_tool_processes=values["runtime.max_tool_processes"],
            tool_memory_limit=values["runtime.tool_memory_limit"],
            native_tools=_native_tools(values, cwd),
        ),
        webhooks=WebhookSettings(
            method=values["webhooks.default_method"].upper(),
            max_body=values["webhooks.default_max_body"],
            dedupe_ttl=values["webhooks.default_dedupe_ttl"],
            skew=values["webhooks.stripe_skew"],
        ),
        ratelimit=RateLimitSettings(
            address_limit=values["ratelimit.global_rate.limit"],
            address_period=values["ratelimit.global_rate.period"],
            key_limit=values["ratelimit.api_key_rate.limit"],
            key_period=values["ratelimit.api_key_rate.period"],
        ),
        stream=StreamSettings(heartbeat=values["stream.heartbeat"]),
        node=NodeSettings(
            name=values["node.name"] or socket.gethostname(), lease=values["node.lease"]
        ),
        cli=CliSettings(
            api_key=values["cli.api_key"],
            base_url=values["cli.base_url"],
            timeout=values["cli.timeout"],
            format=values["cli.default_format"],
        ),
        knowledge_vector_dbs=file.vector_dbs,
    )
    return settings, warnings


def _server(values: Mapping[str, Any]) -> ServerSettings:
    host, auth = values["server.host"], values["server.auth.enabled"]
    if not auth and not _is_loopback(host):
        raise InvalidConfiguration(
            f"server.auth.enabled is false while the server listens on {host}: without a key"
            " anybody on the network could run tools; turn it on, or listen on 127.0.0.1."
        )
    return ServerSettings(
        host=host,
        port=values["server.port"],
        auth_enabled=auth,
        timeout=values["server.timeout"],
        header_timeout=values["server.timeouts.http_read_header"],
        body_timeout=values["server.timeouts.http_read"],
        idle_timeout=values["server.timeouts.http_idle"],
        shutdown_timeout=values["server.timeouts.server_shutdown"],
        max_body=values["server.max_body"],
        cors_enabled=values["server.cors_enabled"],
        cors_allowed_origins=values["server.cors.allowed_origins"],
    )


def _native_tools(values: Mapping[str, Any], cwd: Path) -> NativeToolSettings:
    own = "runtime.native_tools"
    root = values[f"{own}.root_dir"]
    return NativeToolSettings(
        enabled=values[f"{own}.enabled"],
        root_dir=absolute(root, cwd) if root else None,
        additional_roots=tuple(absolute(each, cwd) for each in values[f"{own}.additional_roots"]),
        commands=values[f"{own}.exec.allowlist"],
        exec_timeout=values[f"{own}.exec.timeout"],
        max_stdout=values[f"{own}.exec.max_stdout_bytes"],
        max_stderr=values[f"{own}.exec.max_stderr_bytes"],
        fetch_timeout=values[f"{own}.fetch.timeout"],
        max_body=values[f"{own}.fetch.max_body_bytes"],
        max_redirects=values[f"{own}.fetch.max_redirects"],
        methods=tuple(each.upper() for each in values[f"{own}.fetch.allowed_methods"]),
        private_hosts=values[f"{own}.fetch.private_hosts"],
        call_task=_calls(values, f"{own}.call_task"),
        call_tasks=_calls(values, f"{own}.call_tasks"),
        call_workflow=_calls(values, f"{own}.call_workflow"),
        call_workflows=_calls(values, f"{own}.call_workflows"),
    )


def _calls(values: Mapping[str, Any], own: str) -> CallSettings:
    return CallSettings(
        enabled=values[f"{own}.enabled"],
        timeout=values[f"{own}.default_timeout"],
        max_concurrent=values.get(f"{own}.max_concurrent", 1),
    )


def _is_loopback(host: str) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _show(setting: registry.Setting, given: Mapping[str, Given]) -> Shown:
    source = given.get(setting.path)
    value = source.text if source else setting.default
    if setting.path == "database.url":
        value = database.redact(value)
    elif setting.secret and value:
        value = MASK
    origin: Origin = source.origin if source else "default"
    return Shown(setting.path, value, origin, setting.env, setting.flag)
