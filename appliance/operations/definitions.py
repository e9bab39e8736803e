"""Definitions: what files and the API say together, and how that changes while a server runs.

A change is made alone: it is checked together with everything else, stored, and followed before it
is acknowledged. Where anything is wrong, what was in force stays in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import structlog

from appliance import clock
from appliance.background import Background
from appliance.errors import (
    ApplianceError,
    InvalidProject,
    NotSupported,
    OutcomeUnknown,
    Unavailable,
)
from appliance.failpoint import failpoint
from appliance.language.mentions import Name
from appliance.language.model import Project
from appliance.language.sources import Resource
from appliance.operations.actors import Actor
from appliance.store.database import Database, Row, T, Transaction, settle
from appliance.store.resources import Resources

Load = Callable[[Iterable[Resource]], Project]
"""Reads the project again: its files as they are now, and these definitions. Raises InvalidProject."""

RETRY_AFTER = 1.0
"""Seconds until a database that cannot be reached is asked again what it holds."""

Changes = Mapping[Name, str | None]
"""Texts to store, None to remove what is stored."""

log = structlog.get_logger(__name__)


class Follower(msgspec.Struct, frozen=True):
    """Who goes by a new project. `prepare` may refuse it, `follow` may not."""

    prepare: Callable[[Project], Awaitable[list[str]]]
    """Returns what it did, in sentences. Raises InvalidInput, and the errors of `Database.write`."""
    follow: Callable[[Project], Awaitable[None]]


class Definitions:
    """The project that is in force, and the rows that are a part of it. For one event loop."""

    def __init__(self, db: Database, project: Project, load: Load | None) -> None:
        self.project = project
        self._db = db
        self._load = load
        self._rows: dict[Name, Row] = {}
        self._in_force: dict[Name, str] = {}
        """The texts of which the project in force was made, beside its files."""
        self._read_of = self._in_force
        """Those of the project that was read last."""
        self.follower: Follower
        self.tell: Callable[[Transaction], None] = lambda _: None
        """Tells other servers in the transaction that changes what is stored."""
        self._alone = asyncio.Lock()
        self._work = Background()

    @classmethod
    async def open(
        cls, db: Database, project: Project, load: Load | None, *, lenient: bool = False
    ) -> Definitions:
        """Read what is stored, and with it the project, that without it is *project*.

        Where both together are wrong a *lenient* one goes on with the files alone, so that a
        command can mend what is stored. Raises InvalidProject.
        """
        definitions = cls(db, project, load)
        rows = await settle(db.read(lambda tx: Resources(tx).all()))
        definitions._rows = _by_name(rows)
        if rows and load is not None:
            await definitions._take_stored(lenient)
        return definitions

    async def _take_stored(self, lenient: bool) -> None:
        try:
            self.project = await self._read({})
            self._in_force = self._read_of
        except InvalidProject as error:
            if not lenient:
                raise
            log.warning("definitions.left_out", why=error.message)

    def stored(self, name: Name) -> Row | None:
        """Return what came through the API, also where a file hides it."""
        return self._rows.get(name)

    async def reload(self) -> list[str]:
        """Read everything again and return what is different now, in sentences.

        Raises InvalidProject, InvalidInput (the tools cannot be imported), NotSupported.
        """
        return await self._to_the_end(self._reload())

    async def change(
        self,
        actor: Actor,
        decide: Callable[[Project], Changes],
        note: Callable[[Transaction], None],
    ) -> Project:
        """Do what *decide* says about the project in force; return the one that is then in force.

        It is durable and live when this returns. *note* writes into the same transaction.
        Raises what *decide* raises, InvalidProject, InvalidInput (the tools cannot be imported),
        NotSupported, and the errors of `Database.write`.
        """
        return await self._to_the_end(self._change(actor, decide, note))

    def look(self) -> None:
        """Go by what is stored, as soon as may be: another server may have changed it."""
        self._work.begin(self._look_again())

    async def _reload(self) -> list[str]:
        async with self._alone:
            former, project = self.project, await self._read({})
            done = await self.follower.prepare(project)
            await self._enforce(project)
            return [*differences(former, project), *done]

    async def _change(
        self,
        actor: Actor,
        decide: Callable[[Project], Changes],
        note: Callable[[Transaction], None],
    ) -> Project:
        async with self._alone:
            changes = decide(self.project)
            if changes:
                project = await self._read(changes)
                await self.follower.prepare(project)
                try:
                    self._rows = await settle(
                        self._db.write(lambda tx: self._store(tx, actor, changes, note))
                    )
                except OutcomeUnknown:
                    self._work.begin(self._look_again())
                    raise
                failpoint("definition.stored")
                await self._enforce(project)
                if self._texts({}) != self._in_force:  # another server changed something as well
                    self.look()
            return self.project

    async def _look_again(self) -> None:
        """Go by what is stored, as soon as the database tells what that is."""
        try:
            async with self._alone:
                self._rows = _by_name(await settle(self._db.read(lambda tx: Resources(tx).all())))
                if self._texts({}) == self._in_force:
                    return
                project = await self._read({})
                await self.follower.prepare(project)
                await self._enforce(project)
        except Unavailable:
            await asyncio.sleep(RETRY_AFTER)
            self._work.begin(self._look_again())
        except ApplianceError as error:
            log.warning("definitions.left_out", why=error.message)

    async def _read(self, changes: Changes) -> Project:
        if self._load is None:
            raise NotSupported("This project was not read from files, so nothing can be changed.")
        texts = self._texts(changes)
        resources = [(*name, text) for name, text in sorted(texts.items())]
        project = await asyncio.to_thread(self._load, resources)
        self._read_of = texts
        return project

    def _texts(self, changes: Changes) -> dict[Name, str]:
        texts = {**{name: row["text"] for name, row in self._rows.items()}, **changes}
        return {name: text for name, text in texts.items() if text is not None}

    def _store(
        self,
        tx: Transaction,
        actor: Actor,
        changes: Changes,
        note: Callable[[Transaction], None],
    ) -> dict[Name, Row]:
        table, now = Resources(tx), clock.now_us()
        for (kind, name), text in changes.items():
            row = self._rows.get((kind, name))
            if row is None and text is not None:
                table.insert(kind, name, text, at_us=now, actor=actor.user_id)
            elif row is not None and text is not None:
                version = row["version"]
                table.update(kind, name, text, version=version, at_us=now, actor=actor.user_id)
            elif row is not None:
                table.delete(kind, name, version=row["version"])
        note(tx)
        self.tell(tx)
        return _by_name(table.all())

    async def _enforce(self, project: Project) -> None:
        await self.follower.follow(project)
        self.project, self._in_force = project, self._read_of

    async def _to_the_end(self, change: Coroutine[Any, Any, T]) -> T:
        """Finish a change also when who asked for it has left: half of one is none."""
        return await asyncio.shield(self._work.begin(change))


def _by_name(rows: Iterable[Row]) -> dict[Name, Row]:
    return {(row["kind"], row["id"]): row for row in rows}


def differences(former: Project, project: Project) -> list[str]:
    """Return what *project* defines in another way than *former*, in sentences."""
    return list(_differences(former, project))


def _differences(former: Project, project: Project) -> Iterator[str]:
    for kind in sorted(former.declared.keys() | project.declared.keys()):
        before, after = former.declared.get(kind, {}), project.declared.get(kind, {})
        for name in sorted(before.keys() | after.keys()):
            if name not in after:
                yield f"{kind} {name} is gone"
            elif name not in before:
                yield f"{kind} {name} is new"
            elif before[name].data != after[name].data:
                yield f"{kind} {name} is changed"
    if former.env != project.env:
        yield "the variables of .env are changed"
