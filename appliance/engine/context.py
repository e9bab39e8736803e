"""The variables that templates and conditions see, looked up only when they are named.

Nothing here copies a run: a view answers a key when it is asked, so the cost of a template does not
grow with the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from appliance import clock
from appliance.engine.run import Run, Signal, TaskState
from appliance.engine.status import TERMINAL, Status
from appliance.language.model import Json
from appliance.language.references import EMPTY

Source = Callable[[], Json]

_NOTHING: dict[str, Source] = dict.fromkeys(EMPTY, dict)

MAX_PARENTS = 5
"""How far `.parent.parent...` reaches."""


class View(Mapping[str, Json]):
    """A read-only mapping whose values are computed when they are asked for."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def __getitem__(self, key: str) -> Json:
        return self._sources[key]()

    def __contains__(self, key: object) -> bool:
        return key in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class TasksView(Mapping[str, Json]):
    """`.tasks`: a task id means the nearest one, from the asking task outwards, then any in the run."""

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


def task_view(task: TaskState) -> View:
    """Return what a template sees of a task."""
    return View(
        {
            "id": lambda: task.task_id,
            "type": lambda: task.node.type,
            "status": lambda: task.status,
            "input": lambda: task.input,
            "with": lambda: task.input,
            "output": lambda: task.output,
            "error": lambda: task.error,
            "children": lambda: children_view(task),
        }
    )


def children_view(task: TaskState) -> View:
    """Return the children of a group by id."""
    return View({child.task_id: _viewer(child) for child in task.children})


def _viewer(task: TaskState) -> Source:
    return lambda: task_view(task)


def of_run(run: Run) -> View:
    """Return the variables of a workflow's `outputs`."""
    return View(_run_sources(run, None))


def of_task(task: TaskState, output: Json = None) -> View:
    """Return the variables of a task; *output* is its raw output, for its own `outputs`."""
    sources = _run_sources(task.run, task)
    sources.update(
        {
            "task": lambda: task_view(task),
            "current": lambda: task_view(task),
            "parent": lambda: _parent_view(task, MAX_PARENTS),
            "input": lambda: _input(task),
            "with": lambda: task.input,
            "env": lambda: {**task.run.env, **task.node.env},
            "output": lambda: output,
            "children": lambda: children_view(task),
            "progress": lambda: progress(task),
        }
    )
    _add_items(sources, task)
    _add_signal(sources, task)
    return View(sources)


def _add_signal(sources: dict[str, Source], task: TaskState) -> None:
    """Bind the signal that the nearest wait around *task* has in hand, or that ended *task*."""
    wait: TaskState | None = task
    while wait is not None and wait.node.type != "wait":
        wait = wait.parent
    if wait is not None:
        sources["signal"] = lambda: _signal_in_hand(wait)


def _signal_in_hand(wait: TaskState) -> Json:
    inbox = (wait.input or {}).get("inbox")
    return signal_view(wait.run.signals[inbox[0] - 1]) if inbox else None


def _input(task: TaskState) -> Json:
    """Return what `with` gave the task, or the run's input for a task that was given nothing."""
    given = task.node.with_ is not None and task.input is not None
    return task.input if given else task.run.input


def of_signal(task: TaskState, signal: Signal, processor: TaskState | None) -> View:
    """Return the variables for the condition of a wait that looks at *signal*."""
    sources = dict(of_task(task)._sources)  # noqa: SLF001 - the same class, two names more
    sources["signal"] = lambda: signal_view(signal)
    sources["processor"] = lambda: _processor_view(processor)
    return View(sources)


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


def of_candidate(task: TaskState, item: Json, index: int) -> View:
    """Return the variables for the `filter` of a collection and the id of its children."""
    sources = dict(of_task(task)._sources)  # noqa: SLF001 - the same class, one scope further in
    _bind_item(sources, task, item, index)
    return View(sources)


def _run_sources(run: Run, asking: TaskState | None) -> dict[str, Source]:
    return {
        "workflow": lambda: {
            "id": run.program.id,
            "input": run.input,
            "output": run.output,
            "status": run.status,
        },
        "tasks": lambda: TasksView(run, asking),
        "input": lambda: run.input,
        "env": lambda: run.env,
        "status": lambda: run.status,
        "error": lambda: run.error,
        "project": lambda: {"id": run.project, "name": run.project},
        "workflow_id": lambda: run.program.id,
        "workflow_exec_id": lambda: run.id,
        **_NOTHING,
    }


def _parent_view(task: TaskState, depth: int) -> Any:
    parent = task.parent
    if parent is None or depth == 0:
        return None
    sources = dict(task_view(parent)._sources)  # noqa: SLF001 - the same class, one key more
    sources["parent"] = lambda: _parent_view(parent, depth - 1)
    return View(sources)


def _add_items(sources: dict[str, Source], task: TaskState) -> None:
    """Bind the items of every collection around *task*; the innermost is `.item`."""
    collection = task.parent
    if collection is None:
        return
    _add_items(sources, collection)
    if collection.node.type == "collection":
        _bind_item(sources, collection, collection.input["items"][task.position], task.position)


def _bind_item(sources: dict[str, Source], collection: TaskState, item: Json, index: int) -> None:
    task = collection.node.task
    for name in ("item", "_collection_item", task.item_var):
        sources[name] = lambda: item
    for name in ("index", "_collection_index", task.index_var):
        sources[name] = lambda: index


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
