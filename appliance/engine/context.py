"""The variables that templates and conditions see, looked up only when they are named.

Nothing here copies a run: a view answers a key when it is asked, so the cost of a template does not
grow with the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from appliance import clock
from appliance.engine.run import Run, Signal, TaskState
from appliance.engine.status import TERMINAL, Status
from appliance.language.model import Json
from appliance.language.references import EMPTY

T = TypeVar("T")

Sources = Mapping[str, Callable[[T], Json]]
"""The names in a view, and how the value of each is found in what is viewed."""

MAX_PARENTS = 5
"""How far `.parent.parent...` reaches."""


class View(Mapping[str, Json], Generic[T]):
    """A read-only mapping whose values are computed when they are asked for."""

    __slots__ = ("_sources", "_viewed")

    def __init__(self, sources: Sources[T], viewed: T) -> None:
        self._sources = sources
        self._viewed = viewed

    def __getitem__(self, key: str) -> Json:
        return self._sources[key](self._viewed)

    def __contains__(self, key: object) -> bool:
        return key in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class TasksView(Mapping[str, Json]):
    """`.tasks`: a task id means the nearest one, from the asking task outwards, then any in the run."""

    __slots__ = ("_asking", "_run")

    def __init__(self, run: Run, asking: TaskState | None) -> None:
        self._run = run
        self._asking = asking

    def __getitem__(self, key: str) -> Json:
        return task_view(self._find(key))

    def _find(self, key: str) -> TaskState:
        latest = self._run.by_id[key]
        group = self._asking.parent if self._asking else None
        while group is not None and latest.parent is not group:
            for child in reversed(group.children):
                if child.task_id == key:
                    return child
            group = group.parent
        return latest

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.by_id)

    def __len__(self) -> int:
        return len(self._run.by_id)


class ChildrenView(Mapping[str, Json]):
    """The children of a group by id; the last of an id counts."""

    __slots__ = ("_children",)

    def __init__(self, group: TaskState) -> None:
        self._children = {child.task_id: child for child in group.children}

    def __getitem__(self, key: str) -> Json:
        return task_view(self._children[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._children)

    def __len__(self) -> int:
        return len(self._children)


def task_view(task: TaskState) -> View[TaskState]:
    """Return what a template sees of a task."""
    return View(_TASK, task)


_TASK: Sources[TaskState] = {
    "id": lambda task: task.task_id,
    "type": lambda task: task.node.type,
    "status": lambda task: task.status,
    "input": lambda task: task.input,
    "with": lambda task: task.input,
    "output": lambda task: task.output,
    "error": lambda task: task.error,
    "children": ChildrenView,
}

_RUN: Sources[Run] = {
    "workflow": lambda run: {
        "id": run.program.id,
        "input": run.input,
        "output": run.output,
        "status": run.status,
    },
    "input": lambda run: run.input,
    "env": lambda run: run.env,
    "status": lambda run: run.status,
    "error": lambda run: run.error,
    "project": lambda run: {"id": run.project, "name": run.project},
    "workflow_id": lambda run: run.program.id,
    "workflow_exec_id": lambda run: run.id,
    **dict.fromkeys(EMPTY, lambda _: {}),
}
"""What every template sees of the run it is in."""


class Scope(NamedTuple):
    """Where a template of a task stands. `output` is the task's raw output, for its own `outputs`."""

    task: TaskState
    output: Json = None


def _of_run(source: Callable[[Run], Json]) -> Callable[[Scope], Json]:
    return lambda scope: source(scope.task.run)


_SCOPE: Sources[Scope] = {
    **{name: _of_run(source) for name, source in _RUN.items()},
    "tasks": lambda scope: TasksView(scope.task.run, scope.task),
    "task": lambda scope: task_view(scope.task),
    "current": lambda scope: task_view(scope.task),
    "parent": lambda scope: _parent_view(scope.task, MAX_PARENTS),
    "input": lambda scope: _input(scope.task),
    "with": lambda scope: scope.task.input,
    "env": lambda scope: {**scope.task.run.env, **scope.task.node.env},
    "output": lambda scope: scope.output,
    "children": lambda scope: ChildrenView(scope.task),
    "progress": lambda scope: progress(scope.task),
}
"""What the templates of a task see."""

_WHOLE_RUN: Sources[Run] = {**_RUN, "tasks": lambda run: TasksView(run, None)}
"""What a workflow's `outputs` see."""


def of_run(run: Run) -> View[Run]:
    """Return the variables of a workflow's `outputs`."""
    return View(_WHOLE_RUN, run)


def of_task(task: TaskState, output: Json = None) -> View[Scope]:
    """Return the variables of a task; *output* is its raw output, for its own `outputs`."""
    return View(_around(task), Scope(task, output))


def of_signal(task: TaskState, signal: Signal, processor: TaskState | None) -> View[Scope]:
    """Return the variables for the condition of a wait that looks at *signal*."""
    sources = {
        **_around(task),
        "signal": lambda _: signal_view(signal),
        "processor": lambda _: _processor_view(processor),
    }
    return View(sources, Scope(task))


def of_candidate(task: TaskState, item: Json, index: int) -> View[Scope]:
    """Return the variables for the `filter` of a collection and the id of its children."""
    return View({**_around(task), **_item(task, item, index)}, Scope(task))


def _around(task: TaskState) -> Sources[Scope]:
    """Return the names that *task* sees: more inside of collections and waits."""
    if task.parent is None and task.node.type != "wait":
        return _SCOPE
    return {**_SCOPE, **_items(task), **_signal(task)}


def _signal(task: TaskState) -> Sources[Scope]:
    """Bind the signal that the nearest wait around *task* has in hand, or that ended *task*."""
    wait: TaskState | None = task
    while wait is not None and wait.node.type != "wait":
        wait = wait.parent
    return {} if wait is None else {"signal": lambda _: _signal_in_hand(wait)}


def _items(task: TaskState) -> Sources[Scope]:
    """Bind the items of every collection around *task*; the innermost is `.item`."""
    collection = task.parent
    if collection is None:
        return {}
    outer = _items(collection)
    if collection.node.type != "collection":
        return outer
    item = collection.input["items"][task.position]
    return {**outer, **_item(collection, item, task.position)}


def _item(collection: TaskState, item: Json, index: int) -> Sources[Scope]:
    task = collection.node.task
    return {
        **dict.fromkeys(("item", "_collection_item", task.item_var), lambda _: item),
        **dict.fromkeys(("index", "_collection_index", task.index_var), lambda _: index),
    }


def _signal_in_hand(wait: TaskState) -> Json:
    inbox = (wait.input or {}).get("inbox")
    return signal_view(wait.run.signals[inbox[0] - 1]) if inbox else None


def _input(task: TaskState) -> Json:
    """Return what `with` gave the task, or the run's input for a task that was given nothing."""
    given = task.node.with_ is not None and task.input is not None
    return task.input if given else task.run.input


def signal_view(signal: Signal) -> dict[str, Json]:
    """Return what templates and conditions see of a signal."""
    return {
        "name": signal.name,
        "payload": signal.payload,
        "metadata": {
            "signal_id": signal.id,
            "received_at_utc": clock.to_rfc3339(signal.received_at),
            "workflow_id": signal.run.program.id,
            "source": signal.source,
        },
    }


def _processor_view(processor: TaskState | None) -> Json:
    """Return the output of a processor: its own fields, and all of it as `output`."""
    if processor is None:
        return {}
    fields = processor.output if isinstance(processor.output, dict) else {}
    return {**fields, "output": processor.output, "status": processor.status}


def _parent_view(task: TaskState, depth: int) -> Any:
    parent = task.parent
    if parent is None or depth == 0:
        return None
    return View({**_TASK, "parent": lambda parent: _parent_view(parent, depth - 1)}, parent)


def progress(group: TaskState) -> dict[str, Json]:
    """Count the children of a group by state, as `progress_info` shows it."""
    return progress_of([child.status for child in group.children])


def progress_of(statuses: Sequence[Status]) -> dict[str, Json]:
    """Count what the children of a group are in."""
    counts = Counter(statuses)
    total = len(statuses)
    failed = counts["FAILED"] + counts["TIMED_OUT"]
    ended = sum(counts[status] for status in TERMINAL)
    return {
        "total_children": total,
        "success_count": counts["SUCCESS"],
        "failed_count": failed,
        "canceled_count": counts["CANCELED"],
        "running_count": counts["RUNNING"],
        "pending_count": counts["PENDING"],
        "completion_rate": ended / total if total else 1.0,
        "failure_rate": failed / total if total else 0.0,
    }
