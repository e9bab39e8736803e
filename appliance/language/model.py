"""The typed form of a project: what the loader builds, the validator checks and the engine runs.

Field names are those of the YAML language. Durations are seconds once loaded. A value that may hold
templates is kept as written (text, number, list or mapping); `language.template` renders it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Json = Any
"""What JSON can say: None, bool, int, float, str, list and dict with text keys."""

Strategy = Literal["wait_all", "fail_fast", "best_effort", "race"]


class Model(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of every part of a project: immutable, strict about keys."""


class RetryPolicy(Model, frozen=True):
    """When an execution error is tried again. Intervals are in seconds."""

    maximum_attempts: int = 3
    initial_interval: float = 1.0
    backoff_coefficient: float = 2.0
    maximum_interval: float = 60.0
    non_retryable_error_types: tuple[str, ...] = ()


class Transition(Model, frozen=True):
    """Where the flow goes on; None ends it."""

    next: str | None = None


class SignalCall(Model, frozen=True):
    """What a task of type signal sends. Both may hold templates."""

    id: str
    payload: Json = None


class MemoryCall(Model, frozen=True):
    """What a task of type memory does. `key` and `payload` may hold templates.

    `options` are those of the operation, flat: of `flush_config`, `health_config`, `stats_config`
    and `clear_config`, beside `max_keys` and `batch_size`.
    """

    operation: Literal["read", "write", "append", "delete", "flush", "health", "clear", "stats"]
    ref: str
    key: str
    payload: Json = None
    options: dict[str, Json] = {}


class Task(Model, frozen=True):
    """A node of a workflow. One struct serves every type; `type` says which fields count.

    `retry` and `timeout` are final: the loader merged project, workflow and task options.
    """

    id: str
    type: str = "basic"
    tool: str | None = None
    with_: dict[str, Json] | None = msgspec.field(name="with", default=None)
    takes_input: bool = False
    """Whether the input of the run counts as `with` too, and wins: a task that is run by itself."""
    outputs: dict[str, Json] | None = None
    on_success: Transition = Transition()
    on_error: Transition = Transition()
    final: bool = False
    sleep: float = 0.0
    timeout: float | None = None
    queue_timeout: float | None = None
    """Seconds that a call may wait for a process to run in (`schedule_to_start_timeout`)."""
    total_timeout: float | None = None
    """Seconds that all attempts may take together (`schedule_to_close_timeout`)."""
    retry: RetryPolicy = RetryPolicy()
    env: dict[str, str] = {}
    input: dict[str, Json] | None = None
    """JSON schema of what `with` gives, or None when anything goes."""
    output: dict[str, Json] | None = None
    """JSON schema of the output, after `outputs` shaped it."""
    # router
    condition: str | None = None
    routes: dict[str, str] = {}
    """Router: result of `condition` -> task id. Inline tasks are lifted into the same `tasks`."""
    # parallel, composite, collection
    tasks: tuple[Task, ...] = ()
    strategy: Strategy = "wait_all"
    max_workers: int = 0
    """Children at once; 0 = no bound."""
    # collection
    items: Json = None
    filter: str | None = None
    mode: Literal["parallel", "sequential"] = "parallel"
    batch: int = 0
    item_var: str = "item"
    index_var: str = "index"
    task: Task | None = None
    # wait
    wait_for: str | None = None
    """Name of the signal. May hold templates."""
    wait_timeout: str | None = None
    """Duration as written; it may hold templates, so it is read when the task begins."""
    on_timeout: str | None = None
    """Sibling that follows when no signal came in time."""
    processor: Task | None = None
    """Run on every signal of that name, before `condition` is asked."""
    # signal
    signal: SignalCall | None = None
    # memory
    memory: MemoryCall | None = None


class Tool(Model, frozen=True):
    """A function that tasks call. `input` and `output` are JSON schemas; `timeout` is in seconds."""

    id: str
    description: str = ""
    timeout: float | None = None
    input: dict[str, Json] | None = None
    output: dict[str, Json] | None = None
    with_: dict[str, Json] = msgspec.field(name="with", default={})
    env: dict[str, str] = {}
    max_concurrent: int = 0
    """Calls at once in the whole server; 0 = no bound."""

    @property
    def function(self) -> str:
        """The name that the function has in the entrypoint."""
        return self.id.replace("-", "_")


class Schedule(Model, frozen=True):
    """When a workflow starts by itself. Times are microseconds since the epoch."""

    cron: str
    """Six fields with seconds first, five fields, `@every <duration>` or `@daily` and its kind."""
    timezone: str = "UTC"
    """IANA name."""
    enabled: bool = True
    jitter: float = 0.0
    """Longest random delay of a start, in seconds."""
    overlap_policy: Literal["skip", "allow", "buffer_one", "cancel_other"] = "skip"
    catch_up: Literal["none", "last", "all"] = "last"
    """Which of the starts that were missed while the server was down are made up for."""
    start_at: int | None = None
    end_at: int | None = None
    input: dict[str, Json] = {}


class Verify(Model, frozen=True):
    """How a webhook proves where it comes from. `secret` may be a template over `.env`."""

    strategy: Literal["none", "hmac", "github", "stripe"] = "none"
    secret: str = ""
    header: str = ""
    skew: float | None = None
    """Seconds that a signed time may be off; None is the setting `webhooks.stripe_skew`."""


class Dedupe(Model, frozen=True):
    """How a repeated webhook is known: by `key`, a dotted path into the payload, for `ttl` seconds."""

    enabled: bool = False
    ttl: float | None = None
    """None is the setting `webhooks.default_dedupe_ttl`."""
    key: str = ""


class WebhookEvent(Model, frozen=True):
    """What a webhook means: the first event whose CEL `filter` is true starts the workflow.

    `input` is a mapping of templates over `.payload`, `.headers` and `.query`; `schema` checks it.
    """

    name: str
    filter: str
    input: dict[str, Json]
    schema: dict[str, Json] | None = None


class Webhook(Model, frozen=True):
    """An address, `/api/v0/hooks/<slug>`, that others call."""

    slug: str
    method: str = ""
    """POST, PUT or PATCH; empty is the setting `webhooks.default_method`."""
    events: tuple[WebhookEvent, ...] = ()
    verify: Verify = Verify()
    dedupe: Dedupe = Dedupe()


class Trigger(Model, frozen=True):
    """What starts a workflow from outside: an event with a `name`, or a webhook."""

    type: Literal["signal", "webhook"]
    name: str = ""
    schema: dict[str, Json] | None = None
    """JSON schema of an event's payload."""
    webhook: Webhook | None = None


class Workflow(Model, frozen=True):
    """One workflow, complete: it holds the tools that its tasks name, so that a run can pin it."""

    id: str
    tasks: tuple[Task, ...]
    """The first one starts a run."""
    version: str = ""
    description: str = ""
    input: dict[str, Json] | None = None
    """JSON schema of the run's input, or None when anything goes."""
    env: dict[str, str] = {}
    """What the workflow itself says; the entries of `.env` files are in `Project.env` only."""
    outputs: dict[str, Json] | None = None
    tools: dict[str, Tool] = {}
    schedule: Schedule | None = None
    triggers: tuple[Trigger, ...] = ()
    max_concurrent: int = 0
    """Runs that may be under way at once; more wait in line. 0 = no bound."""


class Memory(Model, frozen=True):
    """A memory: lists of messages under keys, bounded in number, tokens and time."""

    id: str
    description: str = ""
    version: str = ""
    type: Literal["token_based", "message_count_based", "buffer"] = "message_count_based"
    max_tokens: int = 2000
    max_messages: int = 100
    ttl: float | None = None
    """Seconds after the last write until the messages under a key are gone; None keeps them."""
    persistent: bool = True
    """Whether it survives a restart (`persistence.type: in_memory` does not)."""
    flushing: Literal["simple_fifo", "lru", "token_aware_lru", "hybrid_summary"] = "simple_fifo"
    flush_threshold: float = 0.8
    """Share of the limit from which `flush` does something."""
    redact_patterns: tuple[str, ...] = ()
    """Regular expressions of what is never stored, in the syntax of `language.template.regex`."""
    redaction: str = "[REDACTED]"
    unpersisted_roles: tuple[str, ...] = ()
    """Roles of messages that are dropped (`non_persistable_message_types`)."""
    default_key_template: str = ""


class Runtime(Model, frozen=True):
    """Where tool functions come from. `entrypoint` is an absolute path."""

    type: Literal["python", "bun", "node"] = "python"
    entrypoint: str | None = None
    timeout: float = 60.0
    """Seconds a tool call may take when neither task nor tool says otherwise."""
    memory_limit: int = 1 << 30
    """Bytes of address space a tool process may use; 0 = no bound."""


class Declaration(Model, frozen=True):
    """A definition as it was written."""

    data: dict[str, Json]
    """What it says, without `resource`."""
    file: str = ""
    """Where it stands; empty for one that came through the API."""
    hides: str = ""
    """The file with another definition of the same, which does not count."""


class Project(Model, frozen=True):
    """Everything that a server runs, resolved by id."""

    name: str
    directory: str
    """Absolute path that relative paths of the project start from."""
    workflows: dict[str, Workflow]
    version: str = ""
    description: str = ""
    runtime: Runtime = Runtime()
    env: dict[str, str] = {}
    """What `.env.X` means: the entries of `.env` files. They may be secrets: no workflow holds them."""
    tasks: dict[str, Workflow] = {}
    """Tasks that can be run by themselves (`resource: task`), each as a workflow of one task."""
    memories: dict[str, Memory] = {}
    tools: dict[str, Tool] = {}
    """Tools that the project declares for all workflows."""
    schemas: dict[str, Json] = {}
    definitions: dict[str, dict[str, Json]] = {}
    """What is declared and not run yet, by kind (`agent`, `model`, `mcp`, ...) and id."""
    declared: dict[str, dict[str, Declaration]] = {}
    """Everything that files and the API define, by kind (`workflow`, `tool`, ...) and id."""
    source_of_truth: Literal["repo", "builder"] = "repo"
    """Who wins where a file and the API define the same: the file, or the API."""
    vector_dbs: tuple[dict[str, Json], ...] = ()
    warnings: tuple[str, ...] = ()
    """What the files say without effect, as file:line:col: message."""
