"""The appliance as a whole: everything that is open while a server runs, in the order it depends."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from appliance import clock
from appliance.cluster.alone import Alone
from appliance.cluster.membership import Load, Membership
from appliance.config import Settings
from appliance.engine.runner import Engine
from appliance.engine.scheduler import Scheduler
from appliance.errors import ApplianceError
from appliance.language.files import CODE, Stamps, stamps
from appliance.language.model import Project
from appliance.memory.calls import MemoryCalls
from appliance.operations.bootstrap import bootstrap
from appliance.operations.definitions import Definitions, Follower
from appliance.operations.definitions import Load as Read
from appliance.operations.identity import Identity
from appliance.operations.native_tools import grant
from appliance.operations.webhooks import Webhooks
from appliance.store import migrations, open_database
from appliance.store.ballast import Ballast
from appliance.store.database import Database, settle
from appliance.store.datadir import DataDirectory, InstanceLock, held
from appliance.store.probe import Probe
from appliance.tools.pool import ToolRuntime
from appliance.tools.pools import ToolPools

PROBE_EVERY = 5.0

BROKEN_GRACE = 0.5
"""Seconds to tell everybody who waits that storage broke. Their work could not be stored anyway."""

log = structlog.get_logger(__name__)


class Readiness(NamedTuple):
    """Whether the server can do its work, and what was looked at."""

    ready: bool
    checks: dict[str, dict[str, bool | str]]


class ToolSources(NamedTuple):
    """How tools are run, and the files that they are imported from."""

    runtime: ToolRuntime
    files: Stamps


class Appliance:
    """Holds what a server needs. Made by `open`, which also closes it."""

    def __init__(
        self,
        *,
        settings: Settings,
        definitions: Definitions,
        data: DataDirectory,
        lock: InstanceLock,
        db: Database,
        node: Membership,
        pool: ToolPools,
    ) -> None:
        project = definitions.project
        self.settings = settings
        self.definitions = definitions
        self.data = data
        self.lock = lock
        self.db = db
        self.node = node
        self.pool = pool
        self.identity = Identity(db)
        self.memories = MemoryCalls(db, project.memories)
        self.engine = Engine(
            db,
            project,
            pool,
            self.memories,
            node=node,
            max_runs=settings.runtime.max_runs,
            native=settings.runtime.native_tools,
        )
        self.scheduler = Scheduler(db, self.engine, project.name)
        self.webhooks = Webhooks(db, self.engine, settings.webhooks)
        self.webhooks.load(project)
        self._probe_again = 0.0
        self._broken = False
        self._ballast: Ballast | None = None
        db.on_broken.append(self._break)
        self._tools: ToolSources | None = None
        definitions.follower = Follower(self._prepare, self._follow)
        definitions.tell = partial(node.tell_with, topic="definitions")
        node.hear("definitions", lambda _: definitions.look())

    @property
    def project(self) -> Project:
        """What new runs go by."""
        return self.definitions.project

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        project: Project,
        *,
        load: Read | None = None,
        resume: bool = True,
    ) -> AsyncIterator[Appliance]:
        """Open data directory, database, tools and engine; *resume* takes up interrupted runs.

        *load* reads *project* again, with what is stored; without it nothing can be reloaded.

        Raises: InvalidConfiguration, InvalidProject (with what is stored, unless nothing is to be
        resumed), Locked (73), DatabaseTooNew, Unavailable, StorageFull.
        """
        async with AsyncExitStack() as stack:
            data = DataDirectory(settings.data_dir)
            data.prepare()
            lock = stack.enter_context(held(data, settings.database.path))
            home = Path(settings.database.path).parent  # absolute for a file of SQLite alone
            pool = ToolPools(tool_runtime(settings, project))
            stack.push_async_callback(pool.close)
            importing = asyncio.create_task(pool.open())
            stack.callback(importing.cancel)
            await asyncio.sleep(0)  # the tools are imported in their process while we go on here
            ballast = Ballast(home, settings.database.ballast) if home.is_absolute() else None
            if ballast is not None:
                ballast.give_up()
            if settings.database.auto_migrate:
                migrations.up(settings.database)
            else:
                migrations.check(settings.database)
            db = open_database(settings.database)
            stack.callback(db.close)
            db.claim()
            definitions = await Definitions.open(db, project, load, lenient=not resume)
            node = membership(db, settings, alone=not resume)
            appliance = cls(
                settings=settings,
                definitions=definitions,
                data=data,
                lock=lock,
                db=db,
                node=node,
                pool=pool,
            )
            stack.push_async_callback(appliance.identity.close)
            stack.callback(appliance.memories.close)
            await bootstrap(
                db,
                former=data.read_admin_key(),
                keep=lambda key: data.write_secret("admin.key", key),
            )
            appliance._tools = await tool_sources(settings, project)
            await importing
            stack.push_async_callback(node.close)
            await node.open(lambda: Load(appliance.engine.active, appliance.engine.calls))
            recovered = await appliance.engine.open(resume=resume)
            stack.push_async_callback(appliance._close_engine)
            if recovered:
                log.info("runs.recovered", count=recovered)
            stack.push_async_callback(appliance.scheduler.close)
            await appliance.scheduler.open(resume=resume)
            appliance._ballast = ballast
            appliance._lay_ballast()
            yield appliance

    def announce(self, url: str) -> None:
        """Tell others where this server can be reached, "" for nowhere. Raises StorageFull, StorageBroken."""
        self.lock.announce(url)
        self.node.announce(url)

    @property
    def grace(self) -> float:
        """Seconds that what is under way may take when the server stops."""
        return BROKEN_GRACE if self._broken else self.settings.server.shutdown_timeout

    def _break(self, _: ApplianceError) -> None:
        self._broken = True

    async def _close_engine(self) -> None:
        await self.engine.close(0 if self._broken else self.grace)

    async def reload(self) -> list[str]:
        """Read the project again; return what is different now, in sentences.

        Runs to come go by it, those under way keep their definitions. Where anything is wrong the
        former project goes on. Raises: InvalidProject, InvalidInput (the tools), NotSupported.
        """
        return await self.definitions.reload()

    async def _prepare(self, project: Project) -> list[str]:
        """Do all that may be refused. Raises InvalidInput, and the errors of `Database.write`."""
        self._prepared = await self.engine.prepare(project)
        return await self._load_tools(project)

    async def _load_tools(self, project: Project) -> list[str]:
        """Import the tools again where their files or variables changed. Raises InvalidInput."""
        sources = await tool_sources(self.settings, project)
        if sources == self._tools:
            return []
        await self.pool.reload(sources.runtime)
        self._tools = sources
        return ["the tools are loaded again"]

    async def _follow(self, project: Project) -> None:
        """Let everything that is open go by *project*."""
        self.memories.replace(project.memories)
        self.engine.follow(self._prepared)
        self.webhooks.load(project)
        await self.scheduler.follow()

    async def _probe(self) -> None:
        """Write a row, at most once in `PROBE_EVERY` seconds: a monitor must not wear out a card."""
        if clock.monotonic() < self._probe_again:
            return
        await settle(self.db.write(lambda tx: Probe(tx).write(clock.now_us())))
        self._lay_ballast()  # there may be room again
        self._probe_again = clock.monotonic() + PROBE_EVERY

    def _lay_ballast(self) -> None:
        if self._ballast is not None:
            self._ballast.lay()

    async def ready(self) -> Readiness:
        """Tell whether a write can be acknowledged."""
        checks: dict[str, dict[str, bool | str]] = {}
        try:
            await self._probe()
            checks["database"] = {"ok": True, "detail": f"{self.db.driver} acknowledges writes"}
        except ApplianceError as error:
            checks["database"] = {"ok": False, "detail": error.message}
        if self._ballast is not None:
            checks["storage"] = {"ok": self._ballast.enough, "detail": self._ballast.detail}
        if self.node.shared:
            detail = f"one of {self.node.size} servers"
            checks["node"] = {"ok": self.node.sure, "detail": detail}
        ready = all(check["ok"] for check in checks.values())
        problem = self.pool.problem
        checks["tools"] = {"ok": problem is None, "detail": problem or "tools can be called"}
        checks["schedules"] = {"ok": self.scheduler.clock_is_set, "detail": self.scheduler.detail}
        return Readiness(ready, checks)


def membership(db: Database, settings: Settings, *, alone: bool) -> Membership:
    """Return the place of a server among those that may share its database."""
    if alone or settings.database.driver == "sqlite":
        return Alone(db, settings.node.name)
    from appliance.cluster.node import Node

    home = f"{socket.gethostname()}:{settings.data_dir}"
    return Node(db, settings.database, settings.node, home)


def tool_runtime(settings: Settings, project: Project) -> ToolRuntime:
    """Return how the tools of *project* are run."""
    entrypoint = project.runtime.entrypoint
    return ToolRuntime(
        entrypoint=Path(entrypoint) if entrypoint else None,
        language=project.runtime.type,
        python=sys.executable,
        max_processes=settings.runtime.max_tool_processes,
        memory_limit=project.runtime.memory_limit,
        env=project.env,
        native=grant(settings, project.directory),
    )


async def tool_sources(settings: Settings, project: Project) -> ToolSources:
    """Return how the tools of *project* are run, and their files as they are now."""
    runtime = tool_runtime(settings, project)
    if runtime.entrypoint is None:
        return ToolSources(runtime, {})
    files = await asyncio.to_thread(stamps, runtime.entrypoint.parent, CODE, depth=3)
    return ToolSources(runtime, files)
