"""Procrastinate: a queue of jobs in PostgreSQL. Ten steps are ten jobs, each defers the next."""

from __future__ import annotations

import asyncio
import itertools
import sys

from benchmarks.peers.peer import STEPS, WORKERS
from benchmarks.peers.program import Library, leave, serve_async, stay, step

# How often a worker looks for jobs that it was not told of. A note that comes while it looks is
# forgotten, and with Procrastinate's own 5 s such a run would take as long.
LOOK_S = 0.1


class Procrastinate(Library):
    """A worker in the process that defers."""

    name = "procrastinate"
    title = "Procrastinate, PostgreSQL"
    beside = "compozy-postgres"
    promise = "every job durable; one whose worker was killed stays taken until somebody retries it"
    environment = "procrastinate"
    on_postgres = True

    def _where(self) -> str:
        return self._conninfo()


async def main(conninfo: str) -> None:
    """Serve the harness with the database at *conninfo*."""
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=conninfo))
    ended: dict[int, asyncio.Future[int]] = {}
    numbers = itertools.count()

    async def work(n: int, steps: int, run: int) -> None:
        if steps > 1:
            await job.defer_async(n=step(n), steps=steps - 1, run=run)
        else:
            ended.pop(run).set_result(step(n))

    def rest(n: int, notes: str) -> None:
        end.defer(n=stay(n, notes), notes=notes)

    job = app.task(name="job")(work)
    middle = app.task(name="rest")(rest)
    end = app.task(name="leave")(leave)

    async def run(flow: str) -> None:
        number, future = next(numbers), asyncio.get_running_loop().create_future()
        ended[number] = future
        await job.defer_async(n=1, steps=STEPS[flow], run=number)
        await future

    async def staying(count: int, notes: str) -> None:
        for n in range(count):
            await middle.defer_async(n=n, notes=notes)

    worker = app.run_worker_async(concurrency=WORKERS, fetch_job_polling_interval=LOOK_S)
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await serve_async(worker, run, staying)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
