"""Huey: a queue of tasks in SQLite. A worker takes a task out of it before it runs the task."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from benchmarks.peers.load import Load, closed_loop_of_threads
from benchmarks.peers.peer import STEPS, WORKERS
from benchmarks.peers.program import Library, leave, pragmas, serve, stay, step

# Idle workers look into the queue ever more rarely, and this is the first pause of theirs. With
# Huey's own 100 ms a lone run would measure nothing else.
FIRST_PAUSE_S = 0.001


class Huey(Library):
    """Worker threads in the process that enqueues; ten steps are a pipeline."""

    name = "huey"
    title = "Huey, SQLite"
    beside = "compozy-sqlite"
    promise = "what waits in the queue is durable; what runs is known to no one but the worker"
    environment = "huey"

    def _where(self) -> str:
        return f"{self.home}/huey.db"


def main(path: str) -> None:
    """Serve the harness with the queue at *path*."""
    from huey import SqliteHuey
    from huey.signals import SIGNAL_COMPLETE

    logging.getLogger("huey").setLevel(logging.ERROR)
    huey = SqliteHuey(filename=path)
    noop, rest, end = (huey.task()(function) for function in (step, rest_of, leave_of))
    ended: dict[str, threading.Event] = {}

    def complete(_: str, task: Any) -> None:
        if event := ended.pop(task.id, None):
            event.set()

    huey.signal(SIGNAL_COMPLETE)(complete)

    def pipeline(steps: int) -> Any:
        task = noop.s(1)
        for _ in range(steps - 1):
            task.then(noop)
        return task

    def run(steps: int) -> None:
        task = last = pipeline(steps)
        while last.on_complete:
            last = last.on_complete
        event = ended[last.id] = threading.Event()
        huey.enqueue(task)
        event.wait()
        huey.result(last.id)

    def load(flow: str, in_flight: int, seconds: float) -> Load:
        return closed_loop_of_threads(lambda: run(STEPS[flow]), in_flight, seconds)

    def begin(count: int, notes: str) -> None:
        for n in range(count):
            huey.enqueue(noop.s(n).then(rest, notes).then(end, notes))

    consumer = huey.create_consumer(workers=WORKERS, initial_delay=FIRST_PAUSE_S)
    consumer._set_signal_handlers = lambda: None  # noqa: SLF001 - the program may be ended
    consumer.start()
    serve(pragmas(huey.storage.conn.execute), load, begin)


def rest_of(notes: str, n: int) -> int:
    """Stay; a pipeline hands over what the step before has returned as the last argument."""
    return stay(n, notes)


def leave_of(notes: str, n: int) -> int:
    """Leave; see `rest_of`."""
    return leave(n, notes)


if __name__ == "__main__":
    main(*sys.argv[1:])
