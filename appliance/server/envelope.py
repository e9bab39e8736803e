"""What a successful answer looks like: `{status, message, data}`, and listings page by page."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Response
from litestar.params import QueryParameter

from appliance.operations.pages import Page
from appliance.server.request import ApiRequest

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="How many entries at most.")]
Cursor = Annotated[
    str | None,
    QueryParameter(
        pattern="^[A-Za-z0-9_-]{1,512}$", description="The `next_cursor` of the page before."
    ),
]


class Envelope(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The answer to a request that succeeded."""

    status: int = 200
    message: str = "Success"
    data: T


class PageInfo(msgspec.Struct, frozen=True):
    """Where a listing goes on. `next_cursor` is null on the last page."""

    limit: int
    next_cursor: str | None


def show(kind: type[T], found: Any) -> T:
    """Return what an operation found in the form *kind* in which it leaves the server."""
    return msgspec.convert(found, kind, from_attributes=True)


def listing(request: ApiRequest, kind: type[S], page: Page, limit: int) -> Response[Envelope[S]]:
    """Answer with a page, and with a Link header where there is a next one (RFC 8288).

    The first field of *kind* holds the entries, its field `page` says where the listing goes on.
    """
    noun = msgspec.structs.fields(kind)[0].name
    info = {"limit": limit, "next_cursor": page.next_cursor}
    headers = {}
    if page.next_cursor is not None:
        headers["link"] = f'<{_next(request, page.next_cursor)}>; rel="next"'
    return Response(Envelope(data=show(kind, {noun: page.items, "page": info})), headers=headers)


def _next(request: ApiRequest, cursor: str) -> str:
    query = parse_qsl(request.scope["query_string"].decode("ascii", "replace"))
    others = [(name, value) for name, value in query if name != "cursor"]
    return f"{request.scope['path']}?{urlencode([*others, ('cursor', cursor)])}"
