"""A run in memory: its tasks as a tree, and the rows that they are stored in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from appliance.clock import MICROSECONDS
from appliance.engine.program import GROUPS, Node, Program
from appliance.engine.status import TERMINAL, Status
from appliance.language.model import Json
from appliance.store.database import Param, Row


class Surroundings(NamedTuple):
    """What a run sees of the project it is in. Never stored with it: `.env` may hold secrets."""

    project: str
    env: dict[str, str]


class Moment(NamedTuple):
    """A change of state, as the history of a run or task keeps it. `number` counts through a run."""

    number: int
    status: Status
    attempt: int
    at: int


class StoredRun(NamedTuple):
    """A run as it is stored: its own row, and those of its tasks in the order they began."""

    run: Row
    tasks: list[Row]


class Signal:
    """A message that a run received. `taken_by` is the number of the wait that took it first."""

    __slots__ = ("id", "name", "number", "payload", "received_at", "run", "source", "taken_by")

    def __init__(
        self,
        run: Run,
        number: int,
        *,
        id: str,  # noqa: A002 - the field's own name
        name: str,
        payload: Json,
        source: str,
        received_at: int,
    ) -> None:
        self.run = run
        self.number = number
        self.id = id
        self.name = name
        self.payload = payload
        self.source = source
        self.received_at = received_at
        self.taken_by: int | None = None

    def row(self) -> dict[str, Param]:
        """Return the columns of `signals`."""
        return {
            "workflow_exec_id": self.run.id,
            "number": self.number,
            "signal_id": self.id,
            "name": self.name,
            "payload": encode(self.payload),
            "source": self.source,
            "received_at": self.received_at,
            "taken_by": self.taken_by,
        }


class TaskState:
    """One execution of a task. `version` is that of its row; 0 means it was never stored."""

    __slots__ = (
        "attempt", "children", "created_at", "error", "held", "history", "input", "next_position",
        "node", "output", "parent", "position", "retries", "run", "seq", "status", "tally",
        "task_id", "updated_at", "version", "wake_at",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        node: Node,
        *,
        seq: int,
        task_id: str,
        parent: TaskState | None,
        position: int,
    ) -> None:
        self.run = run
        self.node = node
        self.seq = seq
        self.task_id = task_id
        self.parent = parent
        self.position = position
        self.status: Status = "RUNNING"
        self.attempt = 1
        self.retries = 0
        self.wake_at: int | None = None
        self.input: Json = None
        self.output: Json = None
        self.error: dict[str, Json] | None = None
        self.version = 0
        self.created_at = self.updated_at = 0
        self.history: list[Moment] = []
        self.children: list[TaskState] = []
        self.next_position = 0
        """Group: position of the next chain to start."""
        self.tally = {"success": 0, "failed": 0}
        """Group: how the chains that have ended did."""
        self.held: list[TaskState] = []
        """Group: tasks that go on when there is room for another chain."""

    @property
    def id(self) -> str:
        """The public id, `<run>.<seq>`: the idempotency key that a tool is given."""
        return f"{self.run.id}.{self.seq}"

    @property
    def deadline(self) -> int | None:
        """When the last attempt must have ended, in microseconds; None is never."""
        total = self.node.task.total_timeout
        if total is None:
            return None
        return self.created_at + round((self.node.task.sleep + total) * MICROSECONDS)

    @property
    def is_held(self) -> bool:
        """Whether the task waits for nothing but to be let go: for room, or for `resume`."""
        return self.status == "PENDING" and self.wake_at is None

    @property
    def open_chains(self) -> int:
        """Group: how many chains are under way."""
        ended = self.tally["success"] + self.tally["failed"]
        return self.next_position - ended - len(self.held)

    def row(self) -> dict[str, Param]:
        """Return the columns of `task_states`; `version` is the one that the row must still have."""
        return {
            "workflow_exec_id": self.run.id,
            "seq": self.seq,
            "task_id": self.task_id,
            "execution_type": self.node.type,
            "status": self.status,
            "parent_seq": self.parent.seq if self.parent else None,
            "position": self.position,
            "attempt": self.attempt,
            "retries": self.retries,
            "wake_at": self.wake_at,
            "input": encode(self.input),
            "output": encode(self.output),
            "error": encode(self.error),
            "history": encode(self.history),
            "version": self.version,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Run:
    """An execution of a workflow. Only the reducer changes it; a failed commit throws it away."""

    def __init__(
        self,
        program: Program,
        exec_id: str,
        run_input: Json,
        now_us: int,
        surroundings: Surroundings,
    ) -> None:
        self.program = program
        self.project = surroundings.project
        self.env = {**surroundings.env, **program.env}
        self.id = exec_id
        self.status: Status = "RUNNING"
        self.input = run_input
        self.output: Json = None
        self.error: dict[str, Json] | None = None
        self.started_by: str | None = None
        self.idempotency_key: str | None = None
        self.origin: dict[str, Json] | None = None
        self.recoveries = 0
        self.node_id: str | None = None
        """The node that holds it, where several share a database."""
        self.version = 0
        self.created_at = self.updated_at = now_us
        self.tasks: list[TaskState] = []
        """Every task by number: `tasks[seq - 1]`."""
        self.top: list[TaskState] = []
        self.by_id: dict[str, TaskState] = {}
        """The latest execution of each task id, whatever its depth."""
        self.waiting: set[int] = set()
        """Numbers of the tasks that wait for a signal."""
        self.signals: list[Signal] = []
        """Every signal by number: `signals[number - 1]`."""
        self.history: list[Moment] = []
        self.moments = 0
        """The number of the last change of state in all histories."""

    def add(self, node: Node, task_id: str, parent: TaskState | None, position: int) -> TaskState:
        """Append a task to the tree and return it."""
        seq = len(self.tasks) + 1
        task = TaskState(self, node, seq=seq, task_id=task_id, parent=parent, position=position)
        self.tasks.append(task)
        (parent.children if parent else self.top).append(task)
        self.by_id[task_id] = task
        return task

    def task(self, seq: int) -> TaskState:
        """Return the task with number *seq*."""
        return self.tasks[seq - 1]

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to this run any more."""
        return self.status in TERMINAL

    def let_go(self) -> None:
        """Drop all data, once they are stored and nobody needs the run any more.

        A run and its tasks know each other. Until the garbage collector finds them, which it does
        the later the fewer objects there are, megabytes could hang on them.
        """
        self.input = self.output = None
        for task in self.tasks:
            task.input = task.output = None
        for signal in self.signals:
            signal.payload = None

    def stored(self) -> StoredRun:
        """Return the run as it is read from the database once everything is stored."""
        return StoredRun(self.row(), [task.row() for task in self.tasks])

    def row(self) -> dict[str, Param]:
        """Return the columns of `workflow_states`."""
        return {
            "workflow_exec_id": self.id,
            "workflow_id": self.program.id,
            "definition_hash": self.program.hash,
            "status": self.status,
            "input": encode(self.input),
            "output": encode(self.output),
            "error": encode(self.error),
            "started_by": self.started_by,
            "idempotency_key": self.idempotency_key,
            "origin": encode(self.origin),
            "history": encode(self.history),
            "recoveries": self.recoveries,
            "node_id": None if self.status == "PENDING" else self.node_id,
            "version": self.version,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def encode(value: Any) -> str | None:
    """Return *value* as JSON text; None stays NULL."""
    return None if value is None else msgspec.json.encode(value).decode()


def decode(text: str | None) -> Json:
    """Return the value of a JSON column; NULL becomes None."""
    return None if text is None else msgspec.json.decode(text)


def read_history(text: str | None) -> list[Moment]:
    """Return the moments in a `history` column; rows of older versions have none."""
    return [] if text is None else msgspec.json.decode(text, type=list[Moment])


def load(
    program: Program,
    row: Row,
    task_rows: Sequence[Row],
    signal_rows: Sequence[Row],
    around: Surroundings,
) -> Run:
    """Build a run from its rows, equal to the one that was in memory when they were written."""
    exec_id, created_at = row["workflow_exec_id"], row["created_at"]
    run = Run(program, exec_id, decode(row["input"]), created_at, around)
    run.status = row["status"]
    run.output, run.error = decode(row["output"]), decode(row["error"])
    run.started_by, run.idempotency_key = row["started_by"], row["idempotency_key"]
    run.origin, run.history = decode(row["origin"]), read_history(row["history"])
    run.recoveries, run.version = row["recoveries"], row["version"]
    run.updated_at, run.node_id = row["updated_at"], row["node_id"]
    for task_row in task_rows:
        _load_task(run, task_row)
    for signal_row in signal_rows:
        _load_signal(run, signal_row)
    for task in run.tasks:
        if task.node.type in GROUPS:
            recount(task)
    histories = (run.history, *(task.history for task in run.tasks))
    run.moments = max((moments[-1].number for moments in histories if moments), default=0)
    return run


def _load_task(run: Run, row: Row) -> None:
    parent = run.task(row["parent_seq"]) if row["parent_seq"] else None
    task = run.add(
        _node(run.program, parent, row["task_id"]), row["task_id"], parent, row["position"]
    )
    task.status = row["status"]
    task.attempt, task.retries, task.wake_at = row["attempt"], row["retries"], row["wake_at"]
    task.input, task.output = decode(row["input"]), decode(row["output"])
    task.error = decode(row["error"])
    task.version, task.history = row["version"], read_history(row["history"])
    task.created_at, task.updated_at = row["created_at"], row["updated_at"]
    if task.status == "WAITING":
        run.waiting.add(task.seq)


def _load_signal(run: Run, row: Row) -> None:
    signal = Signal(
        run,
        row["number"],
        id=row["signal_id"],
        name=row["name"],
        payload=decode(row["payload"]),
        source=row["source"],
        received_at=row["received_at"],
    )
    signal.taken_by = row["taken_by"]
    run.signals.append(signal)


def _node(program: Program, parent: TaskState | None, task_id: str) -> Node:
    if parent is None:
        return program.nodes[task_id]
    if parent.node.type != "collection":
        return parent.node.children[task_id]
    return parent.node.children.get(task_id.rpartition("-")[0], parent.node.sequence[0])


def recount(group: TaskState) -> None:
    """Derive what a group counts: the last task of each position says how its chain ended.

    A task and its successor are always stored together, so a terminal last task ends the chain.
    """
    last = chain_ends(group)
    group.next_position = len(last)
    group.tally = {"success": 0, "failed": 0}
    for task in last:
        if task.status in TERMINAL:
            group.tally["success" if task.status == "SUCCESS" else "failed"] += 1
    group.held = [task for task in last if task.is_held]


def chain_ends(group: TaskState) -> list[TaskState]:
    """Return the last task of each chain of a group, by position."""
    return list({child.position: child for child in group.children}.values())
