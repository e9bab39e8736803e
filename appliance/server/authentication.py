"""Who asks: a pure ASGI layer in front of every handler, for no guard may wait in a thread pool.

A route says in `opt` who may use it; it is for everybody with a key or session unless it says so.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.types import ASGIApp, Receive, Scope, Send

from appliance.errors import Forbidden, Unauthorized
from appliance.operations.actors import SYSTEM, Actor, require_admin

PUBLIC: Final = {"access": "public"}
LOCAL: Final = {"access": "local"}
"""Without a key for clients on this machine that do not speak for others."""
ADMIN: Final = {"access": "admin"}

_FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"}


def authentication(app: ASGIApp) -> ASGIApp:
    """Wrap *app* so that it is reached only by those who may. Sets `scope["state"]["actor"]`.

    Raises Unauthorized, Forbidden.
    """

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        access = access_of(scope["route_handler"].opt)
        if access != "public" and not (access == "local" and is_local(scope)):
            actor = await _actor(scope)
            if access == "admin":
                require_admin(actor)
            scope["state"]["actor"] = actor
        await app(scope, receive, send)

    return authenticated


async def require_still(scope: Scope) -> None:
    """Make sure that whoever began a long answer may still ask. Raises Unauthorized.

    Cheap: what is known about a key is remembered until somebody changes it, at most a second.
    """
    state = scope["litestar_app"].state
    if state.appliance.settings.server.auth_enabled:
        await state.appliance.identity.authenticator.recognise(bearer(scope))


def access_of(opt: dict[str, Any]) -> str:
    """Return who may use a route: `public`, `local`, `user` or `admin`."""
    return str(opt.get("access", "user"))


def bearer(scope: Scope) -> str:
    """Return the token of the request. Raises Unauthorized when there is none."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        raise Unauthorized
    scheme, _, token = values[0].decode("latin-1").strip().partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("The Authorization header must read: Bearer <key>.")
    return token.strip()


def is_local(scope: Scope) -> bool:
    """Tell whether the client is on this machine, speaks for itself and asked for this machine.

    A proxy speaks for others; a page of another site asks for its own host.
    """
    client = scope.get("client")
    return (
        client is not None
        and _is_loopback(client[0])
        and not any(name in _FORWARDED for name, _ in scope["headers"])
        and _is_loopback(_host(scope))
    )


async def _actor(scope: Scope) -> Actor:
    state = scope["litestar_app"].state
    if not state.appliance.settings.server.auth_enabled:
        _refuse_strangers(scope)
        return SYSTEM
    try:
        actor: Actor = await state.appliance.identity.authenticator.authenticate(bearer(scope))
    except Unauthorized:
        state.metrics.authentication("bearer", ok=False)
        raise
    state.metrics.authentication("bearer", ok=True)
    return actor


def _refuse_strangers(scope: Scope) -> None:
    """Without keys, being on this machine is the right to do anything: no web page may borrow it."""
    origin = next(
        (value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), ""
    )
    if not is_local(scope) or (origin and not _is_loopback(_hostname(origin))):
        raise Forbidden("Authentication is off, so only clients on this machine may ask.")


def _host(scope: Scope) -> str:
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return _hostname("//" + host.decode("latin-1"))


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
