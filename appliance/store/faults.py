"""What an error of a database driver means, decided by its code and never by its text.

There is one exception. SQLite has no code for *which* unique constraint refused, only its message
"UNIQUE constraint failed: users.email, users.name". That list of columns names the constraint, on
both databases: PostgreSQL tells the name of the index, and its columns are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.errors import (
    ApplianceError,
    Conflict,
    InvalidConfiguration,
    InvalidInput,
    NotSupported,
    StorageBroken,
    StorageFull,
    Unavailable,
)
from appliance.store.database import Param


class Transient(Unavailable):
    """The database broke off; the same work may succeed at once in a fresh transaction."""


class BrokenOff(Transient):
    """The database broke the transaction off for the sake of another; the connection is still good."""


_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def check(params: Mapping[str, Param]) -> Mapping[str, Param]:
    """Return *params* as they are. Raises InvalidInput for what the two databases treat differently.

    Lone surrogates are not looked for here: both drivers refuse them (see `of_driver`).
    """
    for name, value in params.items():
        if value.__class__ is str:
            if "\0" in value:
                raise InvalidInput(f"{name} has a NUL character (U+0000), which cannot be stored.")
        elif value.__class__ is int:
            if not _SMALLEST <= value <= _LARGEST:
                raise InvalidInput(f"{name} is beyond the 64-bit integers.")
        elif value != value:  # noqa: PLR0124 - only NaN differs from itself
            raise InvalidInput(f"{name} is not a number (NaN), which cannot be stored.")
    return params


def of_driver(error: Exception) -> ApplianceError | None:
    """Return what *error* means if it is the same for both drivers, else None."""
    if isinstance(error, ApplianceError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return InvalidInput("The text has a lone surrogate, which cannot be stored.")
    return None


def _taken(columns: str) -> Conflict:
    return Conflict(f"It exists already: {columns} must be unique.", constraint=columns)


def _unknown(error: Exception, code: str) -> ApplianceError:
    return ApplianceError(f"The database refused ({code}): {error}", database_code=code)


# --- SQLite

_SQLITE_BROKEN = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")
_SQLITE_BUSY = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_PROTOCOL",
    "SQLITE_NOMEM",
    "SQLITE_CANTOPEN",
)
_SQLITE_INPUT = ("SQLITE_CONSTRAINT_DATATYPE", "SQLITE_MISMATCH", "SQLITE_TOOBIG")
_SQLITE_RULES = {
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check",
    "SQLITE_CONSTRAINT_NOTNULL": "not_null",
}

_SQLITE_CODES = {
    3091: "SQLITE_CONSTRAINT_DATATYPE",
    5: "SQLITE_BUSY",
    8: "SQLITE_READONLY",
    10: "SQLITE_IOERR",
    11: "SQLITE_CORRUPT",
    13: "SQLITE_FULL",
    14: "SQLITE_CANTOPEN",
}


def of_sqlite(error: Exception, path: str) -> ApplianceError:
    """Return what an error of the connection that writes to *path* means."""
    known = of_driver(error)
    if known is not None:
        return known
    code = _sqlite_code(error)
    if code in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
        return _taken(_columns(str(error)))
    if code in _SQLITE_RULES:
        return Conflict("A rule of the database refused it.", constraint=_SQLITE_RULES[code])
    if code == "SQLITE_FULL":
        return StorageFull()
    if code.startswith(_SQLITE_BROKEN):
        return StorageBroken(
            f"The storage below {path} failed ({code}); check disk and system log."
        )
    if code.startswith("SQLITE_READONLY"):
        return StorageBroken(not_writable(path, code))
    if code.startswith(_SQLITE_BUSY):
        return Unavailable(f"{path} cannot be used now ({code}): {error}.")
    if code in _SQLITE_INPUT:
        return InvalidInput(f"The database cannot hold this value: {error}.")
    return _unknown(error, code)


def _sqlite_code(error: Exception) -> str:
    """Return the name of the code. Python knows not even all codes of the SQLite it is built with."""
    name: str = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if name != "unknown":
        return name
    code: int = getattr(error, "sqlite_errorcode", 0)
    return _SQLITE_CODES.get(code) or _SQLITE_CODES.get(code & 0xFF, name)


def not_writable(path: str, reason: str) -> str:
    """Say that *path* cannot be written, and what to do."""
    return (
        f"{path} cannot be written ({reason}); it must belong to the user of the server, with"
        " `chmod 600`, in a directory with `chmod 700`, on a disk mounted read-write."
    )


def of_sqlite_reader(error: Exception, path: str) -> ApplianceError:
    """Return what an error of a connection that only reads means."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY":
        return NotSupported("A read cannot write; use write().")
    return of_sqlite(error, path)


def _columns(message: str) -> str:
    first, *others = message.partition(": ")[2].split(", ")
    return ",".join([first, *(name.rpartition(".")[2] for name in others)])


# --- PostgreSQL

_POSTGRES_RULES = {"23503": "foreign_key", "23514": "check", "23502": "not_null"}
_POSTGRES_TRANSIENT = ("40001", "40P01")
_POSTGRES_RIGHTS = ("42501", "3F000")
_POSTGRES_INPUT = ("22", "42804")
_POSTGRES_UNAVAILABLE = ("08", "53", "55P03", "57", "58", "XX", "25006", "28", "3D000")


def of_postgres(error: Exception, columns: Callable[[str], str]) -> ApplianceError:
    """Return what an error of psycopg means; *columns* tells those of a unique index by its name."""
    known = of_driver(error)
    if known is not None:
        return known
    code: str | None = getattr(error, "sqlstate", None)
    if code is None:
        return _lost(error)
    if code == "23505":
        return _taken(columns(error.diag.constraint_name))  # type: ignore[attr-defined]
    if code in _POSTGRES_RULES:
        return Conflict("A rule of the database refused it.", constraint=_POSTGRES_RULES[code])
    if code in _POSTGRES_TRANSIENT:
        return BrokenOff(
            f"PostgreSQL broke the transaction off ({code}) more than once; try again."
        )
    if code == "53100":
        return StorageFull(
            "The disk of PostgreSQL is full: nothing can be written until it has room."
        )
    if code.startswith("57P0"):  # the server is stopping, so this connection is gone
        return Transient(f"PostgreSQL ended the connection ({code}); try again when it is back.")
    return _of_class(error, code)


def _of_class(error: Exception, code: str) -> ApplianceError:
    """Return what an error means that has no meaning of its own."""
    if code in _POSTGRES_RIGHTS:
        return InvalidConfiguration(
            f"The role of the server lacks a right at PostgreSQL: {_first_line(error)}; grant it, or"
            " let the owner of the database run `migrate up`."
        )
    if code.startswith(_POSTGRES_UNAVAILABLE):
        return Unavailable(f"PostgreSQL cannot serve this now ({code}): {_first_line(error)}")
    if code.startswith(_POSTGRES_INPUT):
        return InvalidInput(f"The database cannot hold this value: {_first_line(error)}.")
    return _unknown(error, code)


def of_postgres_reader(error: Exception, columns: Callable[[str], str]) -> ApplianceError:
    """Return what an error of psycopg means in a transaction that only reads."""
    if getattr(error, "sqlstate", None) == "25006":
        return NotSupported("A read cannot write; use write().")
    return of_postgres(error, columns)


def _lost(error: Exception) -> ApplianceError:
    """Tell a lost connection, which has no code, from the misuse of a query, which has none either."""
    if type(error).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
        return Transient(f"The connection to PostgreSQL was lost: {_first_line(error)}")
    return _unknown(error, type(error).__name__)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
