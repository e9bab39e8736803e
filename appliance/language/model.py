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


class Task(Model, frozen=True):
    """A node of a workflow. One struct serves every type; `type` says which fields count.

    `retry` and `timeout` are final: the loader merged project, workflow and task options.
    """

    id: str
    type: str = "basic"
    tool: str | None = None
    with_: dict[str, Json] | None = msgspec.field(name="with", default=None)
    outputs: dict[str, Json] | None = None
    on_success: Transition = Transition()
    on_error: Transition = Transition()
    final: bool = False
    sleep: float = 0.0
    timeout: float | None = None
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


class Tool(Model, frozen=True):
    """A function that tasks call. `input` and `output` are JSON schemas; `timeout` is in seconds."""

    id: str
    description: str = ""
    timeout: float | None = None
    input: dict[str, Json] | None = None
    output: dict[str, Json] | None = None
    with_: dict[str, Json] = msgspec.field(name="with", default={})
    env: dict[str, str] = {}

    @property
    def function(self) -> str:
        """The name that the function has in the entrypoint."""
        return self.id.replace("-", "_")


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


class Runtime(Model, frozen=True):
    """Where tool functions come from. `entrypoint` is an absolute path."""

    type: Literal["python", "bun", "node"] = "python"
    entrypoint: str | None = None
    timeout: float = 60.0
    """Seconds a tool call may take when neither task nor tool says otherwise."""
    memory_limit: int = 1 << 30
    """Bytes of address space a tool process may use; 0 = no bound."""


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
    vector_dbs: tuple[dict[str, Json], ...] = ()
    warnings: tuple[str, ...] = ()
    """What the files say without effect, as file:line:col: message."""
