"""Webhooks: `/hooks/{slug}`, for everybody; what is checked, and in which order."""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, patch, post, put
from litestar.params import FromPath

from appliance.errors import (
    Conflict,
    InvalidPayload,
    InvalidSignature,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unavailable,
)
from appliance.operations.hook import Delivery, Hook
from appliance.server.authentication import PUBLIC
from appliance.server.contract import answers, raises
from appliance.server.envelope import Envelope
from appliance.server.request import ApiRequest

_PATH = "/hooks/{slug:str}"


class ReceivedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a delivery; only an accepted one has an event and a run."""

    status: Literal["accepted", "no_matching_event"]
    event: str = ""
    exec_id: str = ""


_OPT = (
    PUBLIC
    | raises(
        NotFound,
        MethodNotAllowed,
        TooLarge,
        InvalidSignature,
        Conflict,
        InvalidPayload,
        Unavailable,
    )
    | answers(200, "No event of the webhook matches, so nothing was started", ReceivedView)
)


@post(_PATH, status_code=202, opt=_OPT, tags=["webhooks"])
async def receive_webhook(
    request: ApiRequest, slug: FromPath[str]
) -> Response[Envelope[ReceivedView]]:
    """Take what another service sends. The run is durable when this answers."""
    return await _receive(request, slug)


@put(_PATH, status_code=202, opt=_OPT, tags=["webhooks"])
async def receive_webhook_put(
    request: ApiRequest, slug: FromPath[str]
) -> Response[Envelope[ReceivedView]]:
    """Take what another service sends, where the webhook names the method PUT."""
    return await _receive(request, slug)


@patch(_PATH, status_code=202, opt=_OPT, tags=["webhooks"])
async def receive_webhook_patch(
    request: ApiRequest, slug: FromPath[str]
) -> Response[Envelope[ReceivedView]]:
    """Take what another service sends, where the webhook names the method PATCH."""
    return await _receive(request, slug)


async def _receive(request: ApiRequest, slug: str) -> Response[Envelope[ReceivedView]]:
    """Ask one thing after the other, the cheap and the safe ones first; each may end it."""
    webhooks = request.appliance.webhooks
    hook = webhooks.find(slug)
    _require_method(request, hook)
    body = await request.read(webhooks.max_body)
    await webhooks.turn()
    headers = _headers(request)
    proof = hook.verify(headers, body)
    payload = await request.parse(body)
    delivery = Delivery(payload, headers, _query(request), proof, len(body))
    accepted = await webhooks.deliver(hook, delivery)
    if accepted is None:
        nothing = ReceivedView(status="no_matching_event")
        return Response(Envelope(data=nothing, message="No event matches"), status_code=200)
    view = ReceivedView(status="accepted", event=accepted.event, exec_id=accepted.exec_id)
    return Response(Envelope(data=view, message="Accepted", status=202))


def _require_method(request: ApiRequest, hook: Hook) -> None:
    if request.method != hook.method:
        sentence = f"This webhook takes {hook.method}, not {request.method}."
        raise MethodNotAllowed(sentence, allow=hook.method)


def _headers(request: ApiRequest) -> dict[str, str]:
    """Return the header by lower-case names; what was sent twice is joined with commas."""
    found: dict[str, str] = {}
    for name, value in request.scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _query(request: ApiRequest) -> dict[str, str]:
    """Return the query; of what was said twice the first."""
    text = request.scope["query_string"].decode("latin-1")
    return dict(reversed(parse_qsl(text, keep_blank_values=True)))


HANDLERS = [receive_webhook, receive_webhook_put, receive_webhook_patch]
