"""Which database the settings choose: a URL, then the driver, then PostgreSQL fields, then SQLite."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from appliance.config import registry
from appliance.config.settings import DatabaseSettings
from appliance.config.values import absolute
from appliance.errors import InvalidConfiguration

MEMORY = ":memory:"
ACCEPTED = "postgresql://, postgres://, sqlite://, file:, a path of a file, or :memory:"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_KEYWORD = re.compile(r"\w+\s*=")


def choose(
    values: Mapping[str, Any], given: Collection[str], cwd: Path, data_dir: Path
) -> tuple[DatabaseSettings, list[str]]:
    """Return the database that *values* choose, and warnings about values that lose.

    *given* names the settings that are not defaults; relative paths start from *cwd*.

    Raises: InvalidConfiguration for a URL of no known form or a path that cannot be a database.
    """
    url, driver = values["database.url"], values["database.driver"]
    fields = any(name in given for name in registry.POSTGRES_FIELDS)
    options = {
        "auto_migrate": values["database.auto_migrate"],
        "busy_timeout": values["database.busy_timeout"],
        "ballast": values["database.ballast"],
        "connect_timeout": values["database.connect_timeout"],
        "max_open_conns": values["database.max_open_conns"],
    }
    if _is_postgres(url):
        chosen = DatabaseSettings(driver="postgres", conninfo=url, **options)
    elif not url and (driver == "postgres" or (driver == "auto" and fields)):
        chosen = DatabaseSettings(driver="postgres", conninfo=_conninfo(values), **options)
    else:
        path = _path(values, cwd, data_dir)
        chosen = DatabaseSettings(driver="sqlite", path=path, **options)
    return chosen, _losers(values, chosen.driver)


def _losers(values: Mapping[str, Any], chosen: str) -> list[str]:
    url, driver = values["database.url"], values["database.driver"]
    warnings = []
    if url and driver not in {"auto", chosen}:
        warnings.append(f"database.driver says {driver} and has no effect: DATABASE_URL wins.")
    if values["database.path"] and (url or chosen == "postgres"):
        reason = "DATABASE_URL wins" if url else "PostgreSQL is chosen"
        warnings.append(f"database.path has no effect: {reason}.")
    return warnings


def label(database: DatabaseSettings) -> str:
    """Describe the database for people, without secrets."""
    if database.driver == "sqlite":
        return f"SQLite at {database.path}" if database.path != MEMORY else "SQLite in memory"
    if _SCHEME.match(database.conninfo):
        parts = urlsplit(database.conninfo)
        host, name = parts.netloc.rpartition("@")[2], parts.path.lstrip("/")
    else:
        host, name = (_keyword(database.conninfo, key) for key in ("host", "dbname"))
    return f"PostgreSQL at {host or 'the local socket'}, database {name or '(default)'}"


def redact(url: str) -> str:
    """Hide what may be secret in a database URL: the password, and every parameter."""
    bare = url.partition("?")[0]
    return re.sub(r"(//[^:/@]*):[^@]*@", r"\1:********@", bare)


def _is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def _path(values: Mapping[str, Any], cwd: Path, data_dir: Path) -> str:
    """Return the absolute path of the SQLite file, or `:memory:`."""
    url = values["database.url"]
    name = "DATABASE_URL" if url else "database.path"
    written = url or values["database.path"] or str(data_dir / "app.db")
    path = _strip_scheme(written, name)
    if path == MEMORY:
        return path
    if not path or "\0" in path:
        raise InvalidConfiguration(f"{name} must name a file, without NUL or line break.")
    full = absolute(path, cwd)
    if path.endswith("/") or _is_directory(full, name):
        raise InvalidConfiguration(f"{name} names the directory {full}; name a file in it.")
    if full.parent != data_dir and not full.parent.is_dir():
        hint = (
            "; for a path from here write two slashes" if written.startswith("sqlite:///") else ""
        )
        raise InvalidConfiguration(
            f'{name}: the directory {full.parent} does not exist; create it with "mkdir -p'
            f' {full.parent}"{hint}.'
        )
    return str(full)


def _is_directory(path: Path, name: str) -> bool:
    try:
        return path.is_dir()
    except PermissionError:  # who opens it says whose it is, and what to do
        return False
    except OSError as error:  # a name that is too long
        raise InvalidConfiguration(
            f"{name} names a file that cannot be reached: {error.strerror}; choose another path."
        ) from error


def _strip_scheme(text: str, name: str) -> str:
    """Return the path in one of the forms that mean SQLite."""
    scheme = _SCHEME.match(text)
    if scheme and (scheme[1] == "file" or text.startswith("sqlite://")):
        if "?" in text:
            raise InvalidConfiguration(f"{name}: a SQLite URL takes no parameters; remove them.")
        path = unquote(text[scheme.end() :].removeprefix("//"))
        return MEMORY if path.lstrip("/") == MEMORY else re.sub("^/+", "/", path)
    if scheme or _KEYWORD.match(text):
        raise InvalidConfiguration(f"{name} has no form that is known here; use {ACCEPTED}.")
    return text


def _conninfo(values: Mapping[str, Any]) -> str:
    """Return what libpq connects with: the connection string, or one made of the fields."""
    text: str = values["database.conn_string"]
    if text and not _is_postgres(text) and "=" not in text:
        raise InvalidConfiguration(
            "database.conn_string must be a postgresql:// URL or libpq text such as"
            ' "host=localhost dbname=compozy".'
        )
    words = {
        "host": values["database.host"],
        "port": str(values["database.port"]),
        "user": values["database.user"],
        "password": values["database.password"],
        "dbname": values["database.name"],
        "sslmode": values["database.ssl_mode"],
    }
    return text or " ".join(f"{key}={_quote(word)}" for key, word in words.items() if word)


def _quote(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _keyword(conninfo: str, key: str) -> str:
    match = re.search(rf"(?:^|\s){key}\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))", conninfo)
    return (match[1] or match[2] or "") if match else ""
