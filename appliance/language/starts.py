"""What starts a workflow by itself: its schedule, the events and the webhooks that it answers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from appliance.errors import InvalidInput
from appliance.language.model import (
    Dedupe,
    Json,
    Schedule,
    Trigger,
    Verify,
    Webhook,
    WebhookEvent,
    Workflow,
)
from appliance.language.references import Reader
from appliance.language.sections import Section

_OVERLAPS = ("skip", "allow", "buffer_one", "cancel_other")
_CATCH_UPS = ("last", "none", "all")
_STRATEGIES = ("none", "hmac", "github", "stripe")
_METHODS = ("POST", "PUT", "PATCH")
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,100}")
_KEY = re.compile(r"[^.\s]+(\.[^.\s]+)*")

HOOK = frozenset({"headers", "payload", "query"})
"""Variables of the `filter` and the `input` of a webhook's event."""


def read_schedule(section: Section, schema: dict[str, Json] | None) -> Schedule | None:
    """Read and check the schedule of a workflow; *schema* is that of its input."""
    inner = section.section("schedule")
    if inner is None:
        return None
    from appliance.language.schedules import faults

    cron = inner.needed_text("cron")
    values: Any = {
        "overlap_policy": inner.choice("overlap_policy", _OVERLAPS, "skip"),
        "catch_up": inner.choice("catch_up", _CATCH_UPS, "last"),
    }
    found = Schedule(
        cron=cron,
        timezone=inner.text("timezone", "UTC"),
        enabled=inner.flag("enabled") if inner.has("enabled") else True,
        jitter=inner.seconds("jitter") or 0.0,
        start_at=_moment(inner, "start_at"),
        end_at=_moment(inner, "end_at"),
        input=inner.values("input") or {},
        **values,
    )
    inner.finish(())
    for field, message in faults(found, schema):
        if cron or field != "cron":
            inner.error(message, field)
    return found


def _moment(section: Section, key: str) -> int | None:
    from appliance.language.schedules import parse_moment

    text = section.optional_text(key)
    try:
        return None if text is None else parse_moment(text)
    except InvalidInput as error:
        section.error(f"{key}: {error.message}", key)
        return None


def read_triggers(section: Section, schemas: Mapping[str, Json]) -> tuple[Trigger, ...]:
    """Read the triggers of a workflow."""
    return tuple(_trigger(inner, schemas) for inner in section.sections("triggers"))


def _trigger(section: Section, schemas: Mapping[str, Json]) -> Trigger:
    section.needed_text("type")
    kind = section.choice("type", ("signal", "webhook"), "signal")
    if kind == "webhook":
        return _webhook_trigger(section, schemas)
    name, schema = section.needed_text("name"), section.schema("schema", schemas)
    section.finish((), lambda key: "webhook needs 'type: webhook'" if key == "webhook" else "")
    return Trigger(type="signal", name=name, schema=schema)


def _webhook_trigger(section: Section, schemas: Mapping[str, Json]) -> Trigger:
    inner = section.section("webhook")
    if inner is None and not section.has("webhook"):
        section.error("'webhook' is missing: a trigger of type webhook needs one")
    section.finish((), _explain)
    return Trigger(type="webhook", webhook=_webhook(inner, schemas) if inner else None)


def _explain(key: str) -> str:
    remedy = {"name": "each of its events has a name", "schema": "each of its events may have one"}
    return f"{key} cannot stand on a webhook; {remedy[key]}" if key in remedy else ""


def _webhook(section: Section, schemas: Mapping[str, Json]) -> Webhook:
    slug = section.needed_text("slug")
    if slug and not _SLUG.fullmatch(slug):
        section.error(f"the slug {slug[:40]!r} is not made of letters, digits, _ and -", "slug")
    events = tuple(_event(inner, schemas) for inner in section.sections("events"))
    if not events and not section.raw("events"):
        section.error("a webhook needs at least one event in 'events'")
    found = Webhook(
        slug=slug,
        method=section.choice("method", _METHODS, "POST") if section.has("method") else "",
        events=events,
        verify=_verify(section.section("verify")),
        dedupe=_dedupe(section.section("dedupe")),
    )
    section.finish(())
    return found


def _event(section: Section, schemas: Mapping[str, Json]) -> WebhookEvent:
    if not section.has("filter"):
        section.error("'filter' is missing; write filter: 'true' to take every call")
    if not section.has("input"):
        section.error("'input' is missing: what the workflow is started with")
    found = WebhookEvent(
        name=section.needed_text("name"),
        filter=section.text("filter"),
        input=section.values("input") or {},
        schema=section.schema("schema", schemas),
    )
    section.finish(())
    reader = Reader(())
    if section.has("filter"):
        reader.check_condition(section, "filter", HOOK)
    reader.check_value(section, "input", HOOK)
    return found


def _verify(section: Section | None) -> Verify:
    if section is None:
        return Verify()
    strategy: Any = section.choice("strategy", _STRATEGIES, "none")
    found = Verify(
        strategy=strategy,
        secret=section.text("secret"),
        header=section.text("header"),
        skew=section.seconds("skew"),
    )
    section.finish(())
    Reader(()).check_value(section, "secret", frozenset({"env"}))
    for key in _VERIFY_NEEDS[strategy]:
        if not section.text(key):
            section.error(f"{key!r} is missing, which the strategy {strategy} needs")
    if section.text("strategy", "none") == "none" and section.has("secret"):
        section.error("the strategy none checks no secret; write strategy: hmac", "secret")
    return found


_VERIFY_NEEDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "hmac": ("secret", "header"),
    "github": ("secret",),
    "stripe": ("secret",),
}


def _dedupe(section: Section | None) -> Dedupe:
    if section is None:
        return Dedupe()
    ttl, key = section.seconds("ttl"), section.text("key")
    if ttl == 0:
        section.error("ttl must be longer than 0", "ttl")
    if key and not _KEY.fullmatch(key):
        section.error("key must be a dotted path into the payload, such as order.id", "key")
    enabled = section.flag("enabled")
    section.finish(())
    return Dedupe(enabled=enabled, ttl=ttl, key=key)


def check_names(section: Section, workflow: Workflow, others: Iterable[Workflow]) -> None:
    """Check that no other workflow, nor this one twice, has an event or a slug of *workflow*."""
    owners = {
        taken: other.id
        for other in others
        for trigger in other.triggers
        for taken, _fields in _names(trigger)
    }
    for index, trigger in enumerate(workflow.triggers):
        for (what, name), fields in _names(trigger):
            if name and (what, name) in owners:
                message = f"the {what} {name!r} is taken by the workflow {owners[what, name]!r}"
                section.error(message, "triggers", index, *fields)
            owners[what, name] = workflow.id


def _names(trigger: Trigger) -> Iterator[tuple[tuple[str, str], tuple[str | int, ...]]]:
    """Go over what a trigger is called by, and the fields that say so."""
    hook = trigger.webhook
    if hook is None:
        yield ("event", trigger.name), ("name",)
        return
    yield ("slug", hook.slug), ("webhook", "slug")
    for index, event in enumerate(hook.events):
        yield ("event", event.name), ("webhook", "events", index, "name")
