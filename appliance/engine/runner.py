"""The engine: runs of the project's workflows, and the commands that move them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, TypeVar

from appliance import clock, ids
from appliance.cluster.alone import Alone
from appliance.cluster.membership import Membership
from appliance.config.settings import NativeToolSettings
from appliance.engine import recovery
from appliance.engine.admission import Admission
from appliance.engine.calls import InternalCalls, limits_of
from appliance.engine.changes import Enqueue, Start
from appliance.engine.claiming import Claiming
from appliance.engine.commands import Commands
from appliance.engine.driver import Driver
from appliance.engine.feed import Feed, Subscription
from appliance.engine.foreign import Foreign
from appliance.engine.program import Program, compile_program, source_of
from appliance.engine.run import Run, StoredRun, Surroundings
from appliance.engine.triggers import Dispatched, Listener, listeners
from appliance.errors import Conflict, InvalidInput, NotFound, Unavailable
from appliance.failpoint import failpoint
from appliance.language.model import Json, Project, Workflow
from appliance.store.database import Database, settle
from appliance.store.workflow_states import WorkflowStates
from appliance.tools.calls import Executor
from appliance.tools.coroutines import Coroutines
from appliance.tools.native import IN_SERVER

T = TypeVar("T")

_NATIVE = NativeToolSettings()


class Compiled(NamedTuple):
    """A project with the programs of its workflows, and of the tasks that it offers by themselves."""

    project: Project
    workflows: dict[str, Program]
    tasks: dict[str, Program]


class Engine:
    """Runs the workflows of a project. Methods are for the event loop that opened it.

    *pool* runs the project's tools and *memory* tasks of type memory. *node* is this server's place
    among those that share the database; without one it has that for itself. `max_runs` bounds the runs
    that are running at once; 0 = no bound. `native` says what tasks that start runs may do.
    """

    def __init__(
        self,
        database: Database,
        project: Project,
        pool: Executor,
        memory: Executor,
        *,
        node: Membership | None = None,
        max_runs: int = 0,
        native: NativeToolSettings = _NATIVE,
    ) -> None:
        self._database = database
        internal = Coroutines(InternalCalls(self, native).answer)
        executors = {"basic": pool, "memory": memory, "signal": internal, "internal": internal}
        self._admission = Admission(max_runs, self._limit_of)
        self.node: Membership = node or Alone(database)
        """This server's place among those that share the database."""
        self._driver = Driver(self.node, self._admission, executors, self.read)
        self._claiming = Claiming(
            database, self.node, self._driver, self._admission, self._limit_of
        )
        self._commands = Commands(database, self.node, self._driver, self._claiming)
        self._foreign = Foreign(database, self.node, self._driver)
        self._driver.timeouts = {tool: limits_of(native, tool).timeout for tool in IN_SERVER}
        self._closing = False
        self._use(_compiled(project))

    def _use(self, compiled: Compiled) -> None:
        project, self.programs, self.task_programs = compiled
        self._driver.default_timeout = project.runtime.timeout
        self._around = Surroundings(project.name, project.env)

    def _limit_of(self, workflow_id: str) -> int:
        program = self.programs.get(workflow_id)
        return program.workflow.max_concurrent if program is not None else 0

    async def open(self, *, resume: bool = True) -> int:
        """Store the definitions and return how many runs that have not ended were taken up.

        Without *resume* that is none: they are left to another process.
        """
        driver = self._driver
        driver.open(self._database)
        await self._keep(self.programs, self.task_programs)
        if self.node.shared:
            return await self._open_shared()
        if resume:
            async for run in recovery.interrupted(self._database, self._around, self._admission):
                driver.adopt(run)
                driver.deliver(run, recovery.after_stop(run))
                failpoint("recovery.taken_up")
        recovered = len(driver.live)
        if recovered:
            asyncio.get_running_loop().call_later(recovery.STABLE_AFTER, driver.trust)
        driver.admit()
        return recovered

    async def _open_shared(self) -> int:
        """Take up what no node holds, now and whenever one has gone."""
        claiming = self._claiming
        self.node.on_lost = self._driver.drop
        self.node.on_joined = partial(claiming.look, orphans=True)
        self._driver.on_line = claiming.line_up
        self._driver.on_room = claiming.room
        recovered = await claiming.take_orphans()
        claiming.look()
        return recovered

    async def prepare(self, project: Project) -> Compiled:
        """Compile *project* for `follow`, and store what runs of it will refer to.

        Raises: the errors of `Database.write`.
        """
        compiled = _compiled(project)
        await self._keep(compiled.workflows, compiled.tasks)
        return compiled

    def follow(self, prepared: Compiled) -> None:
        """Use another project for the runs to come; those that have begun keep their definitions."""
        self._use(prepared)
        self._driver.admit()

    async def _keep(self, *found: Mapping[str, Program]) -> None:
        """Store definitions, so that runs can be pinned to them."""
        programs = [program for each in found for program in each.values()]
        await recovery.keep_definitions(self._database, programs)

    async def close(self, grace_s: float = 0.0) -> None:
        """Begin nothing new, wait up to *grace_s* for what is under way, then stop.

        What did not finish is taken up by the next server.
        """
        self._closing = True
        self._claiming.close()
        self._driver.trust()  # an orderly stop is no sign against the runs that it cuts off
        await self._driver.close(grace_s)
        self._commands.close()
        self._foreign.close()

    @property
    def feed(self) -> Feed:
        """What happens in all runs, live."""
        return self._driver.feed

    @property
    def counts(self) -> Counter[str]:
        """How many runs were STARTED, and how many ended in each state, since the server began."""
        return self._driver.counts

    @property
    def active(self) -> int:
        """How many runs are in memory."""
        return len(self._driver.live)

    @property
    def calls(self) -> int:
        """How many calls are under way or waiting for a process."""
        return sum(len(live.calls) for live in self._driver.live.values())

    def program(self, workflow_id: str) -> Program:
        """Return the program of a workflow of the project. Raises NotFound."""
        return _known(self.programs, workflow_id, "workflow")

    def task_program(self, task_id: str) -> Program:
        """Return the program of a task that the project offers by itself. Raises NotFound."""
        return _known(self.task_programs, task_id, "task")

    # -- commands ---------------------------------------------------------------------------------

    async def start(
        self,
        program: Program,
        run_input: Json,
        *,
        task_id: str | None = None,
        started_by: str | None = None,
        idempotency_key: str | None = None,
        origin: dict[str, Json] | None = None,
        nested: bool = False,
    ) -> str:
        """Begin a run and return its id once that is durable. *run_input* is valid already.

        It begins with the task *task_id*, else with the first. Where there is no room it waits in
        line, unless it is *nested*: another run waits for it, and holds the room that it would need.

        Raises NotFound for an unknown task, Conflict when the idempotency key is taken, and the
        errors of `Database.write`.
        """
        if self._closing:
            msg = "the server is stopping; try again when it is back"
            raise Unavailable(msg)
        now_us = clock.now_us()  # before the id, by whose time runs are listed
        run = Run(program, ids.new_id(), run_input, now_us, self._around)
        run.started_by, run.idempotency_key = started_by, idempotency_key
        run.origin = dict(origin or {"type": "api"})
        if task_id is not None:
            _known(program.nodes, task_id, "task")
            run.origin["task_id"] = task_id
        begins = nested or self._admits(program)
        self._driver.adopt(run)
        if begins:
            self._admission.enter(run.id, program.id)
        self._driver.deliver(run, (Start if begins else Enqueue)(run.created_at))
        await self._driver.durable(run)
        return run.id

    def _admits(self, program: Program) -> bool:
        """Whether a run may begin at once. Nodes count together the runs of a workflow with a bound."""
        counted = self.node.shared and program.workflow.max_concurrent
        return not counted and self._admission.admits(program.id)

    async def wait(self, exec_id: str, timeout_s: float) -> bool:
        """Wait until a run has ended, at most *timeout_s*. Return whether it has.

        A run that is not known counts as one that has ended.
        """
        with self._driver.watch(exec_id) as watcher:
            return await self._settled(exec_id, watcher, timeout_s)

    async def end_of(self, exec_id: str, timeout_s: float) -> StoredRun | None:
        """Wait until a run has ended, at most *timeout_s*; return what is stored of it then.

        None when it goes on, or had ended before: then ask the database.
        """
        with self._driver.watch(exec_id) as watcher:
            await self._settled(exec_id, watcher, timeout_s)
            return watcher.result() if watcher.done() else None

    @contextmanager
    def watching(self, exec_id: str) -> Iterator[Subscription]:
        """Give what happens in a run from now on.

        Where another node holds it, Overrun is raised whenever there is something new to read.
        """
        with self._foreign.watched(exec_id), self.feed.subscribe(exec_id) as live:
            yield live

    def watch_all(self, watcher: Subscription) -> None:
        """Have *watcher* told of what happens in all runs from now on, on whatever server."""
        self.feed.add(watcher)
        self._foreign.watch_all()

    async def _settled(
        self, exec_id: str, watcher: asyncio.Future[StoredRun], timeout_s: float
    ) -> bool:
        if exec_id not in self._driver.live and await self._has_ended(exec_id):
            return True
        with self._foreign.watched(exec_id):
            done, _ = await asyncio.wait([watcher], timeout=timeout_s)
        return bool(done)

    async def _has_ended(self, exec_id: str) -> bool:
        try:
            return (await self.read(exec_id)).ended
        except NotFound:
            return True

    async def signal(
        self, exec_id: str, name: str, payload: Json, *, signal_id: str, source: str
    ) -> bool:
        """Give a run a signal. Return, once it is durable, whether a task took it at once.

        The same *signal_id* again changes nothing. Raises NotFound, or Conflict when the run has
        ended or has had too many signals.
        """
        signal = {"name": name, "payload": payload, "signal_id": signal_id, "source": source}
        taken: bool = await self._commands.give("signal", exec_id, signal)
        return taken

    async def pause(self, exec_id: str) -> None:
        """Let a run begin nothing new. What is under way ends. Raises NotFound, Conflict."""
        await self._commands.give("pause", exec_id)

    async def resume(self, exec_id: str) -> None:
        """Let a paused run go on. Raises NotFound, or Conflict when it is not paused."""
        await self._commands.give("resume", exec_id)

    async def retry(self, exec_id: str) -> None:
        """Let a run that failed or was canceled go on from the task that did not succeed.

        Raises NotFound, or Conflict when the run goes on or has succeeded.
        """
        await self._commands.give("retry", exec_id)

    async def cancel(self, exec_id: str) -> None:
        """Stop a run and everything it is doing. Return once that is durable.

        Raises NotFound, or Conflict when the run has ended already.
        """
        await self._commands.give("cancel", exec_id)

    async def read(self, exec_id: str) -> Run:
        """Return a run as it was last stored. Raises NotFound."""
        return await recovery.load_run(self._database, exec_id, self._around)

    async def dispatch(
        self,
        name: str,
        payload: Json,
        *,
        key: str,
        origin: dict[str, Json],
        started_by: str | None = None,
    ) -> list[Dispatched]:
        """Start every workflow that an event *name* starts, each once for the same *key*.

        A workflow that the payload does not fit is not started; its entry says why. Raises the
        errors of `Database.write`: what was started until then stays so, and is not repeated.
        """
        return [
            await self._dispatch_to(listener, payload, key, origin, started_by)
            for listener in listeners(self.programs, name)
        ]

    async def _dispatch_to(
        self,
        listener: Listener,
        payload: Json,
        key: str,
        origin: dict[str, Json],
        started_by: str | None,
    ) -> Dispatched:
        program = listener.program
        key = f"{key}:{program.id}"
        try:
            accepted = program.accept(listener.check(payload))
        except InvalidInput as error:
            return Dispatched(program.id, None, error.message)
        try:
            exec_id = await self.start(
                program, accepted, started_by=started_by, idempotency_key=key, origin=origin
            )
        except Conflict:
            return Dispatched(program.id, await self.started_under(key), None)
        return Dispatched(program.id, exec_id, None)

    async def started_under(self, key: str) -> str | None:
        """Return the run that was started under an idempotency key, or None."""
        row = await settle(
            self._database.read(lambda tx: WorkflowStates(tx).with_idempotency_key(key))
        )
        return None if row is None else str(row["workflow_exec_id"])


def _compiled(project: Project) -> Compiled:
    return Compiled(project, _programs(project.workflows), _programs(project.tasks))


def _programs(workflows: Mapping[str, Workflow]) -> dict[str, Program]:
    return {name: compile_program(source_of(workflow)) for name, workflow in workflows.items()}


def _known(found: Mapping[str, T], name: str, noun: str) -> T:
    try:
        return found[name]
    except KeyError:
        known = ", ".join(sorted(found)) or "none"
        msg = f"there is no {noun} {name!r}; there is: {known}"
        raise NotFound(msg) from None
