"""What starts a workflow by itself, as its file says it."""

from __future__ import annotations

import pytest

from appliance.language.model import Dedupe, Schedule, Trigger, Verify, Webhook, WebhookEvent

from .conftest import Files

TASKS = "tasks: [{id: a, tool: anything}]\n"
EVENT = "{name: e, filter: 'true', input: {}}"
HOOK = "type: webhook, webhook: {slug: s, events: [%s]%s}"


def test_a_schedule_becomes_what_it_says(files: Files) -> None:
    """Times are microseconds since the epoch; what is left out has its default."""
    full, least = (
        files.workflow(f"id: w\n{TASKS}schedule: {{{fields}}}").schedule
        for fields in (
            (
                "cron: '0 30 6 * * 1-5', timezone: Europe/Lisbon, enabled: false, jitter: 20s,"
                " overlap_policy: buffer_one, catch_up: all, start_at: 2030-01-01T00:00:00Z,"
                " end_at: '2030-01-01T01:00:00.5+00:00', input: {region: north}"
            ),
            "cron: '@every 15s'",
        )
    )
    begin = 1_893_456_000_000_000
    assert (
        Schedule(
            cron="0 30 6 * * 1-5",
            timezone="Europe/Lisbon",
            enabled=False,
            jitter=20.0,
            overlap_policy="buffer_one",
            catch_up="all",
            start_at=begin,
            end_at=begin + 3_600_500_000,
            input={"region": "north"},
        )
        == full
    )
    assert Schedule(cron="@every 15s") == least


def test_triggers_become_what_they_say(files: Files) -> None:
    """Events and webhooks, with how they prove themselves and how a repetition is known."""
    workflow = files.workflow(
        """
        id: w
        max_concurrent: 3
        schemas: [{ id: order, type: object }]
        tasks: [{ id: a, tool: anything }]
        triggers:
          - { type: signal, name: invoice.received, schema: order }
          - type: webhook
            webhook:
              slug: bank-feed
              verify: { strategy: hmac, header: X-Sign, secret: "{{ .env.SECRET }}", skew: 1m }
              dedupe: { enabled: true, ttl: 30m, key: transfer.id }
              events:
                - name: transfer.settled
                  filter: payload.kind == "settled" && has(headers.x)
                  input: { id: "{{ .payload.transfer.id }}", page: "{{ .query.page }}" }
                  schema: { type: object }
        """
    )
    assert 3 == workflow.max_concurrent
    assert (
        Trigger(type="signal", name="invoice.received", schema={"type": "object"}),
        Trigger(
            type="webhook",
            webhook=Webhook(
                slug="bank-feed",
                verify=Verify("hmac", "{{ .env.SECRET }}", "X-Sign", 60.0),
                dedupe=Dedupe(enabled=True, ttl=1800.0, key="transfer.id"),
                events=(
                    WebhookEvent(
                        name="transfer.settled",
                        filter='payload.kind == "settled" && has(headers.x)',
                        input={
                            "id": "{{ .payload.transfer.id }}",
                            "page": "{{ .query.page }}",
                        },
                        schema={"type": "object"},
                    ),
                ),
            ),
        ),
    ) == workflow.triggers


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("timezone: UTC", ["3:1: 'cron' is missing"]),
        ("cron: '0 0 25 * * *'", ["3:12: cron '0 0 25 * * *': the hour '25' is not valid (0-23)"]),
        (
            "cron: '@every x'",
            [
                (
                    "3:12: cron '@every x': ' x' is not a duration; write for example 90s, 1h30m,"
                    " '5 minutes' or 1d"
                )
            ],
        ),
        (
            "cron: '@daily', timezone: Europe/Lissabon",
            [
                (
                    "3:28: timezone 'Europe/Lissabon' is not known; use a name of the IANA list"
                    " such as Europe/Lisbon or UTC"
                )
            ],
        ),
        (
            "cron: '@daily', overlap_policy: buffer",
            ["3:28: overlap_policy 'buffer' is not known; did you mean 'buffer_one'?"],
        ),
        (
            "cron: '@daily', start_at: 2030-01-02T00:00:00Z, end_at: 2030-01-01T00:00:00Z",
            ["3:60: end_at must be later than start_at"],
        ),
        (
            "cron: '@daily', start_at: 2030-01-02",
            [
                (
                    "3:28: start_at: '2030-01-02' is not a time with its offset; write for example"
                    " 2030-01-31T08:00:00Z"
                )
            ],
        ),
        ("cron: '@daily', tz: UTC", ["3:28: unknown key 'tz'; did you mean 'timezone'?"]),
        ("cron: '@daily', input: {n: x}", ["3:28: input.n must be integer"]),
    ],
)
def test_a_mistake_in_a_schedule_has_a_place(
    files: Files, schedule: str, expected: list[str]
) -> None:
    """Fields, times, time zones, and an input that the workflow would refuse."""
    config = "config: {input: {properties: {n: {type: integer}}}}\n"
    found = files.problems(f"id: w\n{TASKS}schedule: {{{schedule}}}\n{config}")
    known = [problem.partition("; did you mean 'timezone'?")[0] for problem in found]
    wanted = [line.partition("; did you mean 'timezone'?")[0] for line in expected]
    assert [f"w.yaml:{line}" for line in wanted] == known


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        ("name: x", "'type' is missing"),
        ("type: signal", "'name' is missing"),
        ("type: event, name: x", "type 'event' is not known; it is one of signal, webhook"),
        ("type: signal, name: x, webhook: {}", "webhook needs 'type: webhook'"),
        ("type: webhook", "'webhook' is missing: a trigger of type webhook needs one"),
        (f"name: n, {HOOK % (EVENT, '')}", "name cannot stand on a webhook; each of its events has a name"),
        (HOOK % ("", ""), "a webhook needs at least one event in 'events'"),
        (HOOK % (EVENT, ", method: GET"), "method 'GET' is not known; it is one of POST, PUT, PATCH"),
        (HOOK % ("{name: e, input: {}}", ""), "'filter' is missing; write filter: 'true' to take every call"),
        (HOOK % ("{name: e, filter: 'true'}", ""), "'input' is missing: what the workflow is started with"),
        (HOOK % ("{name: e, filter: 'body.x', input: {}}", ""), "there is no variable 'body'"),
        (HOOK % ("{name: e, filter: 'payload.x ==', input: {}}", ""), "not a valid condition: it ends too early"),
        (
            HOOK % ("{name: e, filter: 'true', input: {x: '{{ .paylod.x }}'}}", ""),
            "there is no variable 'paylod'; did you mean 'payload'?",
        ),
        (HOOK % (EVENT, ", verify: {strategy: hmac, secret: s}"), "'header' is missing, which the strategy hmac needs"),
        (HOOK % (EVENT, ", verify: {strategy: github}"), "'secret' is missing, which the strategy github needs"),
        (HOOK % (EVENT, ", verify: {strategy: gihub, secret: s}"), "strategy 'gihub' is not known; did you mean 'github'?"),
        (HOOK % (EVENT, ", verify: {secret: s}"), "the strategy none checks no secret; write strategy: hmac"),
        (HOOK % (EVENT, ", dedupe: {enabled: true, key: 'a..b'}"), "key must be a dotted path into the payload, such as order.id"),
        (f"{HOOK % (EVENT, '')}}}, {{type: signal, name: e", "the event 'e' is taken by the workflow 'w'"),
        ((HOOK % (EVENT, "")).replace("slug: s", "slug: a/b"), "the slug 'a/b' is not made of letters, digits, _ and -"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_trigger_is_told(files: Files, trigger: str, expected: str) -> None:
    """Types, names, conditions, templates and what a strategy needs."""
    found = files.problems(f"id: w\n{TASKS}triggers: [{{{trigger}}}]")
    assert [expected] == [problem.split(": ", 1)[1] for problem in found]
    assert found[0].startswith("w.yaml:3:")


def test_names_are_unique_in_a_project(files: Files) -> None:
    """An event means one workflow, and so does the address of a webhook."""
    files.write(
        {
            "compozy.yaml": "name: p\nworkflows: [{source: a.yaml}, {source: b.yaml}]",
            "a.yaml": f"id: a\n{TASKS}triggers:\n  - {{{HOOK % (EVENT, '')}}}\n",
            "b.yaml": f"id: b\n{TASKS}triggers:\n  - {{type: signal, name: e}}\n"
            f"  - {{{HOOK % (EVENT.replace('e,', 'f,', 1), '')}}}\n",
        }
    )
    assert [
        "b.yaml:4:20: the event 'e' is taken by the workflow 'a'",
        "b.yaml:5:31: the slug 's' is taken by the workflow 'a'",
    ] == files.problems()
