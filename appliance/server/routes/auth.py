"""Sessions: `/auth/login`, `/auth/logout` and `/auth/me`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from appliance import clock
from appliance.errors import TooManyRequests, Unauthorized
from appliance.operations import logins, passwords
from appliance.server.authentication import PUBLIC, bearer
from appliance.server.contract import raises
from appliance.server.envelope import Envelope, show
from appliance.server.request import ApiRequest
from appliance.server.routes.users import Email
from appliance.server.views import ActorView, SessionView


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants to log in."""

    email: Email
    password: Annotated[str, msgspec.Meta(max_length=passwords.MAX_BYTES)]


@post(
    "/auth/login",
    status_code=200,
    opt=PUBLIC | raises(Unauthorized, TooManyRequests),
    tags=["auth"],
)
async def login(request: ApiRequest, data: JSONBody[Credentials]) -> Envelope[SessionView]:
    """Begin a session of twelve hours with an email address and a password."""
    metrics = request.app.state.metrics
    try:
        begun = await logins.login(
            request.appliance.identity,
            email=data.email,
            password=data.password,
            address=request.address,
        )
    except Unauthorized:
        metrics.authentication("password", ok=False)
        raise
    metrics.authentication("password", ok=True)
    actor = begun.actor
    session = SessionView(
        token=begun.token,
        expires_at=clock.to_rfc3339(begun.expires_at_us) or "",
        user_id=actor.user_id,
        email=actor.email,
        role=actor.role,
    )
    return Envelope(data=session, message="Logged in")


@post("/auth/logout", status_code=204, tags=["auth"])
async def logout(request: ApiRequest) -> None:
    """End the session whose token is shown. An API key stays as it is."""
    await logins.logout(request.appliance.identity, bearer(request.scope))


@get("/auth/me", tags=["auth"])
async def me(request: ApiRequest) -> Envelope[ActorView]:
    """Show who the key or session belongs to and what it may do."""
    return Envelope(data=show(ActorView, request.actor))


HANDLERS = [login, logout, me]
