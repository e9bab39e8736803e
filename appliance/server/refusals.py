"""Answers that end a connection before the application was asked."""

from __future__ import annotations

from http import HTTPStatus

import httptools

from appliance.errors import Overloaded
from appliance.server.headers import SECURITY
from appliance.server.problem import MEDIA_TYPE, encode, problem


class Refusal(Exception):
    """The connection ends here, with this answer."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code, self.detail = status, code, detail
        super().__init__(detail)

    @classmethod
    def of(cls, error: httptools.HttpParserError) -> Refusal:
        """Return what a callback of the parser raised, or that it could not read the request."""
        if isinstance(error.__context__, cls):
            return error.__context__
        if lack := Overloaded.by(error.__context__):
            return cls(lack.status, lack.code, lack.message)
        return cls(400, "bad_request", "This is not a valid HTTP/1.1 request.")

    def answer(self) -> bytes:
        """Return the whole answer as it is sent."""
        body = encode(problem(self.status, self.code, self.detail, ""))
        fields = [
            *SECURITY,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            fields.append((b"retry-after", b"5"))
        line = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n".encode()
        return line + b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n" + body
