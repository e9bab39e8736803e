"""Webhooks: what strangers may start, once each, after they have proven who they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

from appliance import clock, ids
from appliance.clock import MICROSECONDS
from appliance.config import WebhookSettings
from appliance.errors import Conflict, InvalidInput, InvalidPayload, NotFound
from appliance.language.model import Json, Project
from appliance.language.template import Environment
from appliance.operations.hook import Delivery, Event, Hook, Key
from appliance.store.database import Database, settle
from appliance.store.workflow_states import WorkflowStates

if TYPE_CHECKING:
    from appliance.engine.program import Program
    from appliance.engine.runner import Engine

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 4
"""Deliveries that are worked on between two looks at what else is to be done."""

LARGE = 4096
"""Bytes of a body from which on filters and templates look at it beside the event loop."""

MAX_CORRELATION = 128
"""Characters of a correlation id that are kept."""


class Accepted(NamedTuple):
    """The event that a delivery was taken for, and the run that it started."""

    event: str
    exec_id: str


class Webhooks:
    """The webhooks of a project by slug. `load` replaces them all at once."""

    def __init__(self, db: Database, engine: Engine, settings: WebhookSettings) -> None:
        self._db = db
        self._engine = engine
        self._settings = settings
        self._hooks: dict[str, Hook] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    @property
    def max_body(self) -> int:
        """The largest body, in bytes."""
        return self._settings.max_body

    def load(self, project: Project) -> None:
        """Make the webhooks of *project* ready. Raises InvalidInput when one cannot be compiled."""
        self._hooks = {
            trigger.webhook.slug: Hook(
                workflow.id, trigger.webhook, {**project.env, **workflow.env}, self._settings
            )
            for workflow in project.workflows.values()
            for trigger in workflow.triggers
            if trigger.webhook is not None
        }

    async def turn(self) -> None:
        """Wait for a turn: in a storm of deliveries others are answered in between."""
        async with self._turns:
            await asyncio.sleep(0)  # the next one's turn is after a pass of the event loop

    def find(self, slug: str) -> Hook:
        """Return a webhook. Raises NotFound."""
        try:
            return self._hooks[slug]
        except KeyError:
            raise NotFound(f"There is no webhook {slug!r}.") from None

    async def deliver(self, hook: Hook, delivery: Delivery) -> Accepted | None:
        """Start the run that *delivery* asks for; it is durable when this returns.

        None means that no event matches. Raises: InvalidPayload when the delivery does not fit,
        InvalidInput when it should have a key and has none, Conflict when it was accepted before,
        and the errors of `Database.write`.
        """
        event = await _aside(delivery, hook.event_of, delivery)
        if event is None:
            return None
        program = self._engine.program(hook.workflow_id)
        run_input = await _aside(delivery, _input, program, event, delivery)
        key = hook.key_of(delivery)
        if key is not None:
            await self._make_room(key)
        try:
            exec_id = await self._engine.start(
                program,
                run_input,
                idempotency_key=key.text if key else None,
                origin=_origin(hook, event, delivery),
            )
        except Conflict:
            raise _repeated() from None
        return Accepted(event.name, exec_id)

    async def _make_room(self, key: Key) -> None:
        """Take *key* from a run whose time is over. Raises Conflict while a younger one holds it.

        Looking first keeps repeated deliveries away from the writer. Of two that come at once the
        unique key lets one through.
        """
        before = clock.now_us() - round(key.ttl_s * MICROSECONDS)
        holder = await settle(
            self._db.read(lambda tx: WorkflowStates(tx).with_idempotency_key(key.text))
        )
        if holder is None:
            return
        if holder["created_at"] > before:
            raise _repeated()
        await settle(
            self._db.write(
                lambda tx: WorkflowStates(tx).release_idempotency_key(key.text, before=before)
            )
        )


async def _aside(delivery: Delivery, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Return what *work* returns, from a thread where it may take long: a stranger sent much."""
    if delivery.size < LARGE:
        return work(*args, **named)
    return await asyncio.to_thread(work, *args, **named)


def _repeated() -> Conflict:
    return Conflict("This delivery was accepted already; it starts nothing again.")


def _input(program: Program, event: Event, delivery: Delivery) -> Json:
    """Return the input of the run. Raises InvalidPayload."""
    try:
        rendered = event.input_of(delivery, Environment(clock.now_us(), ids.new_id()))
        return program.accept(rendered)
    except InvalidInput as error:
        raise InvalidPayload(f"event {event.name}: {error.message}", **error.details) from None


def _origin(hook: Hook, event: Event, delivery: Delivery) -> dict[str, Json]:
    """Return what a run remembers of where it comes from."""
    headers = delivery.headers
    correlation = headers.get("x-correlation-id") or headers.get("x-request-id")
    found: dict[str, Json] = {"type": "webhook", "slug": hook.slug, "event": event.name}
    return found | ({"correlation_id": correlation[:MAX_CORRELATION]} if correlation else {})
