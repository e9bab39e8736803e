"""API keys: `/auth/generate` and `/auth/keys`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.errors import Forbidden, NotFound
from appliance.operations import keys
from appliance.operations.actors import Role
from appliance.server.contract import raises
from appliance.server.envelope import Cursor, Envelope, Limit, listing, show
from appliance.server.request import ApiRequest
from appliance.server.views import KeyList, KeyView, NewKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KeyWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to make: for whom (admins only; null is oneself), with which role, until when."""

    name: Annotated[str, msgspec.Meta(max_length=keys.MAX_NAME)] = ""
    description: Annotated[str, msgspec.Meta(max_length=keys.MAX_DESCRIPTION)] = ""
    role: Role | None = None
    user_id: str | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


@post("/auth/generate", opt=raises(Forbidden, NotFound), tags=["auth"])
async def generate_key(
    request: ApiRequest, data: JSONBody[KeyWish | None] = None
) -> Envelope[NewKey]:
    """Make an API key. Its text is in this answer and nowhere else."""
    wish = data or KeyWish()
    key, text = await keys.generate_key(
        request.appliance.identity,
        request.actor,
        name=wish.name,
        description=wish.description,
        role=wish.role,
        user_id=wish.user_id,
        expires_at_us=_microseconds(wish.expires_at),
    )
    return Envelope(
        data=NewKey(api_key=text, key=show(KeyView, key)), message="API key created", status=201
    )


@get("/auth/keys", opt=raises(NotFound), tags=["auth"])
async def list_keys(
    request: ApiRequest,
    user_id: Annotated[str | None, QueryParameter(description="Only keys of this user.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[KeyList]]:
    """List API keys, oldest first: an admin sees all, a user the own ones."""
    page = await keys.list_keys(
        request.appliance.identity,
        request.actor,
        user_id=user_id,
        limit=limit,
        cursor=cursor,
    )
    return listing(request, KeyList, page, limit)


@delete("/auth/keys/{key_id:str}", opt=raises(NotFound), tags=["auth"])
async def revoke_key(request: ApiRequest, key_id: FromPath[str]) -> None:
    """Revoke an API key. It opens nothing any more when this returns."""
    await keys.revoke_key(request.appliance.identity, request.actor, key_id)


def _microseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


HANDLERS = [generate_key, list_keys, revoke_key]
