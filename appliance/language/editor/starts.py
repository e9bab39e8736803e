"""What starts a workflow by itself: its schedule and its triggers."""

from __future__ import annotations

from appliance.language.editor.fields import (
    Schema,
    choice,
    duration,
    each,
    flag,
    mapping,
    needed_text,
    reference,
    schema,
    template,
    text,
    values,
)

_CRON = (
    "When it starts: six fields (second, minute, hour, day of month, month, day of week), five"
    " (without the second), @every <duration>, or @hourly, @daily, @weekly, @monthly, @yearly."
)
_MOMENT = "RFC 3339 with an offset, such as 2030-01-31T08:00:00Z."

SCHEDULE = mapping(
    "When a workflow starts by itself.",
    {
        "cron": needed_text(_CRON, examples=["0 30 6 * * 1-5", "@every 15m", "@daily"]),
        "timezone": text("Name of a time zone, such as Europe/Lisbon.", default="UTC"),
        "enabled": flag("Whether it starts at all.", default=True),
        "jitter": duration("The longest random delay of a start."),
        "overlap_policy": choice(
            "What becomes of a start while the run before has not ended.",
            "skip",
            "allow",
            "buffer_one",
            "cancel_other",
            default="skip",
        ),
        "catch_up": choice(
            "Which starts that were missed while the server was down are made up for.",
            "last",
            "none",
            "all",
            default="last",
        ),
        "start_at": text(f"It does not start before. {_MOMENT}"),
        "end_at": text(f"It does not start after. {_MOMENT}"),
        "input": values("What it starts with."),
    },
    "cron",
)

_EVENT = mapping(
    "What a call of the webhook can mean; the first event whose filter is true counts.",
    {
        "name": needed_text("Name of the event, unique in the project."),
        "filter": text("A CEL condition over payload, headers and query; 'true' takes every call."),
        "input": values("What it starts with: templates over .payload, .headers and .query."),
        "schema": schema("What that input must be."),
    },
    "name",
    "filter",
    "input",
)


def _needs(strategy: str, *fields: str) -> Schema:
    said = {"properties": {"strategy": {"const": strategy}}, "required": ["strategy"]}
    return {"if": said, "then": {"required": [*fields]}}


_VERIFY = mapping(
    "How a call proves where it comes from.",
    {
        "strategy": choice("What is checked.", "none", "hmac", "github", "stripe", default="none"),
        "secret": template("The shared secret, usually {{ .env.NAME }}."),
        "header": text("The header with the signature, for hmac."),
        "skew": duration("How far a signed time may be off."),
    },
    allOf=[
        _needs("hmac", "secret", "header"),
        _needs("github", "secret"),
        _needs("stripe", "secret"),
    ],
)
_DEDUPE = mapping(
    "Whether a delivery that was seen is refused.",
    {
        "enabled": flag("Refuse it.", default=False),
        "ttl": duration("For how long."),
        "key": text("The dotted path in the payload that it is known by, such as order.id."),
    },
)
_WEBHOOK = mapping(
    "An address, /api/v0/hooks/<slug>, that others call.",
    {
        "slug": needed_text(
            "The end of the address, unique in the project.", pattern="^[A-Za-z0-9_-]{1,100}$"
        ),
        "method": choice("The method of a call.", "POST", "PUT", "PATCH"),
        "events": each("What a call can mean.", _EVENT, minItems=1),
        "verify": _VERIFY,
        "dedupe": _DEDUPE,
    },
    "slug",
    "events",
)
TRIGGERS = {
    "signal": mapping(
        "Starts the workflow when an event comes; its payload is the input.",
        {
            "type": {"description": "An event with a name.", "const": "signal"},
            "name": needed_text("Name of the event, unique in the project."),
            "schema": schema("What the payload must be."),
        },
        "name",
    ),
    "webhook": mapping(
        "Starts the workflow when an address is called.",
        {
            "type": {"description": "An address that others call.", "const": "webhook"},
            "webhook": _WEBHOOK,
        },
        "webhook",
    ),
}


def _if(kind: str) -> Schema:
    said = {"properties": {"type": {"const": kind}}, "required": ["type"]}
    return {"if": said, "then": reference(f"trigger_{kind}")}


TRIGGER: Schema = {
    "description": "What starts a workflow from outside.",
    "type": "object",
    "properties": {"type": choice("An event with a name, or an address.", *TRIGGERS)},
    "required": ["type"],
    "allOf": [_if(kind) for kind in TRIGGERS],
}
