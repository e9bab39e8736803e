"""A webhook made ready: secret rendered, filters, templates and schemas compiled, once per load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import structlog

from appliance import clock
from appliance.clock import MICROSECONDS
from appliance.config import WebhookSettings
from appliance.errors import InvalidInput, Unavailable
from appliance.language import expressions, schemas, template
from appliance.language.model import Dedupe, Json, Verify, Webhook, WebhookEvent
from appliance.operations import signatures

MAX_KEY = 255
"""Characters of a key by which a repeated delivery is known."""

KEY_HEADER = "x-idempotency-key"

log = structlog.get_logger(__name__)


class Key(NamedTuple):
    """What a delivery is known by, unique among all runs, and for how many seconds."""

    text: str
    ttl_s: float


class Delivery(NamedTuple):
    """What was sent to a webhook. Names of headers are lower-case; `proof` is the digest, if any.

    `size` is that of the body, in bytes.
    """

    payload: Json
    headers: Mapping[str, str]
    query: Mapping[str, str]
    proof: str | None = None
    size: int = 0

    @property
    def variables(self) -> dict[str, Json]:
        """What filters and templates see."""
        return {"payload": self.payload, "headers": self.headers, "query": self.query}


class Event:
    """What a webhook may mean."""

    def __init__(self, event: WebhookEvent) -> None:
        self.name = event.name
        self._filter = expressions.compile_expression(event.filter)
        self._input = template.compile_value(event.input, "input")
        self._schema = schemas.compile_schema(event.schema) if event.schema else None

    def matches(self, delivery: Delivery) -> bool:
        """Tell whether the filter says true. One that fails does not match, and is logged."""
        try:
            return self._filter.evaluate(delivery.variables) is True
        except InvalidInput as error:
            log.info("webhook.filter_failed", webhook_event=self.name, error=error.message)
            return False

    def input_of(self, delivery: Delivery, environment: template.Environment) -> Json:
        """Return the input of the run. Raises InvalidInput when the delivery does not have it."""
        value = self._input.render(delivery.variables, environment)
        return self._schema.apply(value) if self._schema else value


class Hook:
    """A webhook of a workflow. *env* is what `.env` means in its secret."""

    def __init__(
        self, workflow_id: str, webhook: Webhook, env: Mapping[str, str], rules: WebhookSettings
    ) -> None:
        self.slug = webhook.slug
        self.workflow_id = workflow_id
        self.method = webhook.method or rules.method
        self._events = [Event(event) for event in webhook.events]
        self._verify = webhook.verify
        self._skew = rules.skew if webhook.verify.skew is None else webhook.verify.skew
        self._secret = _secret(webhook.slug, webhook.verify, env)
        self._dedupe = webhook.dedupe
        self._ttl = rules.dedupe_ttl if webhook.dedupe.ttl is None else webhook.dedupe.ttl

    def verify(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return the digest that proves where *body* comes from, None where nothing is asked for.

        Raises: InvalidSignature; Unavailable while there is no secret.
        """
        if self._verify.strategy == "none":
            return None
        if not self._secret:
            raise Unavailable("This webhook has no secret yet, so it refuses everything.")
        now_s = clock.now_us() / MICROSECONDS
        return signatures.verify(
            self._verify, self._secret, headers, body, now_s=now_s, skew_s=self._skew
        )

    def event_of(self, delivery: Delivery) -> Event | None:
        """Return the first event that matches, or None."""
        return next((event for event in self._events if event.matches(delivery)), None)

    def key_of(self, delivery: Delivery) -> Key | None:
        """Return what *delivery* is known by when it is repeated; None where each one is new.

        Raises InvalidInput when it should have a key and has none.
        """
        if self._dedupe.enabled:
            return Key(f"hook:{self.slug}:{_key(self._dedupe, delivery)}", self._ttl)
        if delivery.proof is None:
            return None
        # A time that is signed may be ahead by the skew, and is good until it is as much behind.
        return Key(f"hook:{self.slug}:{delivery.proof}", 2 * self._skew)


def _secret(slug: str, verify: Verify, env: Mapping[str, str]) -> bytes:
    """Return the secret, empty when it cannot be had; then the webhook refuses everything."""
    if verify.strategy == "none":
        return b""
    try:
        secret = template.compile_text(verify.secret).text(
            {"env": env}, template.Environment(clock.now_us(), slug)
        )
    except template.TemplateError:  # it may quote the secret, so it is not shown
        secret = ""
    if not secret.strip():
        log.error("webhook.no_secret", slug=slug, consequence="it refuses everything with 503")
        return b""
    return secret.encode()


def _key(dedupe: Dedupe, delivery: Delivery) -> str:
    """Return the key: the header first, but what is signed before what is not."""
    header = delivery.headers.get(KEY_HEADER)
    inside = _at(delivery.payload, dedupe.key) if dedupe.key else None
    found = (inside or header or delivery.proof) if delivery.proof else (header or inside)
    if not found:
        place = f" or {dedupe.key} in the payload" if dedupe.key else ""
        raise InvalidInput(f"A delivery needs a key here: the header X-Idempotency-Key{place}.")
    if len(found) > MAX_KEY:
        raise InvalidInput(f"The key of a delivery has at most {MAX_KEY} characters.")
    return found


def _at(payload: Json, path: str) -> str | None:
    """Return the text or number at a dotted path, as text; None where there is neither."""
    for step in path.split("."):
        if isinstance(payload, list) and step.isdecimal() and int(step) < len(payload):
            payload = payload[int(step)]
        elif isinstance(payload, dict) and step in payload:
            payload = payload[step]
        else:
            return None
    is_key = isinstance(payload, str | int | float) and not isinstance(payload, bool)
    return str(payload) if is_key else None
