"""Every error that a user may meet: its HTTP status, its exit code and its stable name.

The docstring of a class is its default message. Codes follow sysexits.h where it has a word.
A message is one sentence (what, where) and, after a semicolon or full stop, what to do.
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
"""Too many open files, here or on the machine; no memory; no more processes or threads."""

_NO_THREAD = "can't start new thread"
"""Python has no class and no number for this one."""


class ApplianceError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70
    code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or type(self).__doc__ or self.code
        self.details = details
        super().__init__(self.message)


class UsageError(ApplianceError):
    """The command line is wrong."""

    status, exit_code, code = 400, 64, "usage"


class InvalidInput(ApplianceError):
    """The input is not valid."""

    status, exit_code, code = 400, 65, "invalid_input"


class InvalidProject(ApplianceError):
    """The project has errors. `details["problems"]` lists them as file:line:col: message."""

    status, exit_code, code = 422, 65, "invalid_project"


class InvalidPayload(ApplianceError):
    """What was sent can be read, but it does not fit what is to be started with it."""

    status, exit_code, code = 422, 65, "invalid_payload"


class Unauthorized(ApplianceError):
    """No valid API key or session was given; send `Authorization: Bearer <key>`."""

    status, exit_code, code = 401, 77, "unauthorized"


class InvalidSignature(Unauthorized):
    """The signature of the webhook is missing, wrong or too old."""

    code = "invalid_signature"


class Forbidden(ApplianceError):
    """This needs the admin role."""

    status, exit_code, code = 403, 77, "forbidden"


class NotFound(ApplianceError):
    """There is no such thing."""

    status, exit_code, code = 404, 66, "not_found"


class MethodNotAllowed(ApplianceError):
    """The `Allow` header names the methods that are possible here."""

    status, exit_code, code = 405, 64, "method_not_allowed"


class Conflict(ApplianceError):
    """It exists already. `constraint` names the rule of the database that refused."""

    status, exit_code, code = 409, 65, "conflict"

    def __init__(self, message: str | None = None, *, constraint: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.constraint = constraint


class VersionConflict(ApplianceError):
    """Somebody else changed it in the meantime; read it again and repeat."""

    status, exit_code, code = 409, 75, "version_conflict"


class NotEmpty(ApplianceError):
    """The database holds something already; choose an empty one."""

    status, exit_code, code = 409, 73, "not_empty"


class PreconditionFailed(ApplianceError):
    """It is not in the state that `If-Match` or `If-None-Match` asks for; read it again."""

    status, exit_code, code = 412, 75, "precondition_failed"


class TooLarge(ApplianceError):
    """The request body is too large."""

    status, exit_code, code = 413, 65, "too_large"


class TooManyRequests(ApplianceError):
    """Too many attempts; wait and try again. `details["retry_after"]` is in seconds."""

    status, exit_code, code = 429, 75, "too_many_requests"


class RateLimited(TooManyRequests):
    """More requests were made in a short time than are allowed; `Retry-After` says when to go on."""

    code = "rate_limit_exceeded"


class DeadlineExceeded(ApplianceError):
    """It took too long."""

    status, exit_code, code = 408, 75, "deadline_exceeded"


class NotSupported(ApplianceError):
    """This is not supported here."""

    status, exit_code, code = 409, 69, "not_supported"


class Unavailable(ApplianceError):
    """The database cannot be reached."""

    status, exit_code, code = 503, 69, "unavailable"


class Overloaded(Unavailable):
    """The server has more to write than it can keep up with; try again in a second."""

    exit_code, code = 75, "overloaded"

    @classmethod
    def by(cls, error: BaseException | None) -> Overloaded | None:
        """Return what *error* means when the machine has no room for more work, otherwise None."""
        short = isinstance(error, MemoryError) or str(error) == _NO_THREAD
        if short or getattr(error, "errno", None) in _NO_ROOM:
            why = getattr(error, "strerror", "") or "memory is short"
            return cls(f"There is no room for this now ({why}); try again in a moment.")
        return None


class Fenced(Unavailable):
    """This server was silent for too long, so others took over its runs; try again."""

    exit_code, code = 75, "fenced"


class OutcomeUnknown(ApplianceError):
    """The connection was lost during COMMIT: it may or may not have happened; look before repeating."""

    status, exit_code, code = 503, 75, "outcome_unknown"


class StorageFull(ApplianceError):
    """The disk is full: reads go on, nothing can be written until space is made."""

    status, exit_code, code = 507, 74, "storage_full"


class StorageBroken(ApplianceError):
    """The storage failed: the server stops acknowledging writes and must be restarted."""

    status, exit_code, code = 503, 74, "storage_broken"


class InvalidConfiguration(ApplianceError):
    """The configuration is not valid."""

    status, exit_code, code = 500, 78, "invalid_configuration"


class DatabaseTooNew(InvalidConfiguration):
    """The database was written by a newer version of this program; use that version."""

    code = "database_too_new"


class Locked(ApplianceError):
    """Another process holds this data directory."""

    status, exit_code, code = 503, 73, "locked"


class DamagedArchive(ApplianceError):
    """The archive is damaged; nothing was touched."""

    status, exit_code, code = 422, 65, "damaged_archive"


def named(code: str) -> type[ApplianceError]:
    """Return the class of errors with a stable name, ApplianceError where there is none."""
    found, waiting = ApplianceError, [ApplianceError]
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            found = kind
            break
        waiting += kind.__subclasses__()
    return found
