"""Every error as RFC 9457 problem details: one shape, whatever went wrong and wherever."""

from __future__ import annotations

import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Send

from appliance import ids
from appliance.errors import (
    ApplianceError,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
)
from appliance.server.headers import Field

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)

EDGE_CODES = {
    "bad_request": (400, "What was sent is not a valid HTTP/1.1 request."),
    "deadline_exceeded": (504, "The server took too long to answer."),
    "header_too_large": (431, "Request line and header are too large."),
    "request_timeout": (408, "The request did not arrive in time."),
    "stopping": (503, "The server stops and will be back; ask again soon."),
    "too_many_connections": (503, "Too many connections are open, here or from this address."),
    "unsupported_media_type": (415, "The body is of a kind that is not read here."),
}
"""Codes that belong to HTTP and to no error of the appliance: their status and what they mean."""

_CODES = {404: NotFound.code, 405: MethodNotAllowed.code, 413: TooLarge.code}


class Flaw(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request: where (`query.limit`, `body.email`) and what."""

    path: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What went wrong. `code` is stable and meant for programs, `detail` is meant for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[Flaw] = []
    details: dict[str, Any] = {}
    request_id: str = ""
    """Only where the cause is in the log of the server, under this id."""


def problem(status: int, code: str, detail: str, instance: str, **more: Any) -> Problem:
    """Build a problem; its type is the place in the documentation that explains the code."""
    return Problem(
        type=f"/docs#{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        code=code,
        **more,
    )


def describe(error: BaseException, instance: str) -> Problem:
    """Say what *error* is to somebody outside. What is unexpected is logged, not told."""
    match error:
        case ApplianceError():
            return problem(error.status, error.code, error.message, instance, details=error.details)
        case ValidationException():
            return _invalid(error, instance)
        case HTTPException(status_code=status) if status < 500:
            return problem(status, _code(status), error.detail, instance)
        case _:
            lack = Overloaded.by(error)
            return describe(lack, instance) if lack else _unexpected(error, instance)


def headers(error: BaseException) -> dict[str, str]:
    """Return the header fields that belong to *error*."""
    match error:
        case ApplianceError(status=401):
            return {"www-authenticate": "Bearer"}
        case MethodNotAllowed(details={"allow": str() as allowed}):
            return {"allow": allowed}
        case ApplianceError(details={"retry_after": int() | float() as seconds}):
            return {"retry-after": str(math.ceil(seconds))}
        case Overloaded():
            return {"retry-after": "1"}
        case Unavailable():
            return {"retry-after": "5"}
        case HTTPException():
            return dict(error.headers or {})
        case _:
            return {}


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer *request* with the problem; the exception handler of the whole application."""
    told = describe(error, request.scope["raw_path"].decode("ascii", "replace"))
    return Response(
        encode(told), status_code=told.status, media_type=MEDIA_TYPE, headers=headers(error)
    )


def encode(told: Problem) -> bytes:
    """Render as JSON; what JSON has no word for is rendered as text."""
    return msgspec.json.encode(told, enc_hook=str)


async def send_problem(send: Send, told: Problem, *fields: Field) -> None:
    """Give the whole answer, where no handler is there to do it."""
    body = encode(told)
    head = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *fields,
    ]
    await send({"type": "http.response.start", "status": told.status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _code(status: int) -> str:
    return _CODES.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "_")


def _invalid(error: ValidationException, instance: str) -> Problem:
    flaws = [_flaw(extra) for extra in _extras(error)]
    what = "; ".join(f"{flaw.path}: {flaw.message}" for flaw in flaws) or error.detail
    return problem(
        400, "invalid_input", f"The request is not valid: {what}.", instance, errors=flaws
    )


def _extras(error: ValidationException) -> Iterable[dict[str, Any]]:
    return [extra for extra in error.extra or () if isinstance(extra, dict)]


def _flaw(extra: dict[str, Any]) -> Flaw:
    source = getattr(extra.get("source"), "value", extra.get("source")) or "request"
    key = extra.get("key", "")
    if key == "data":
        missing = extra["message"] == "'data'"
        return Flaw("body", "A JSON body is required" if missing else extra["message"])
    return Flaw(f"{source}.{key}", extra["message"])


def _unexpected(error: BaseException, instance: str) -> Problem:
    request_id = ids.new_id()
    log.error("request.failed", request_id=request_id, instance=instance, exc_info=error)
    detail = f"The server made an error; its log has the cause under {request_id}."
    return problem(500, "internal", detail, instance, request_id=request_id)
