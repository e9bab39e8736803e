"""The mailbox: what a node asks another to do with a run that the other holds, and what came of it.

A command is a row, so nothing is lost where a notification is. It goes with the node that it is for:
when that one is declared dead, who asked finds the row gone and looks who holds the run now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from appliance import clock, errors, ids
from appliance.background import Background
from appliance.cluster.membership import Membership
from appliance.errors import ApplianceError, Conflict, OutcomeUnknown, Unavailable
from appliance.store.commands import Commands
from appliance.store.database import Database, Param, Row, settle

Json = Any
Perform = Callable[[str, str, dict[str, Json]], Awaitable[Json]]
"""Does *kind* with a run of this node: (kind, exec_id, arguments) -> what came of it."""

PATIENCE = 1.0
"""Seconds until somebody looks for an answer that nobody told of."""

LONGEST = 20.0
"""Seconds until who asked is told that there is no answer."""

log = structlog.get_logger(__name__)


class Gone(ApplianceError):
    """The node that held the run holds it no more; `in_doubt`, whether it may have done something."""

    code = "gone"
    in_doubt = False


class Vanished(Gone):
    """It ended while it was asked."""

    in_doubt = True


class Mailbox:
    """Commands to other nodes, and from them. For one event loop."""

    def __init__(self, db: Database, node: Membership, perform: Perform) -> None:
        self._db = db
        self._node = node
        self._perform = perform
        self._answers: dict[str, asyncio.Event] = {}
        self._taken: set[str] = set()
        self._work = Background()
        node.hear("command", self._called)
        node.hear("answer", self._answered)

    def close(self) -> None:
        """Answer nobody any more."""
        self._work.cancel()

    async def ask(
        self, node_id: str, exec_id: str, kind: str, arguments: Mapping[str, Json]
    ) -> Json:
        """Have a node do *kind* with a run that it holds; return what came of it.

        Raises: Gone when it does not hold the run any more, OutcomeUnknown when it does not answer,
        what it raised itself, and the errors of `Database`.
        """
        command_id = ids.new_id()
        answered = self._answers[command_id] = asyncio.Event()
        try:
            await self._send(command_id, node_id, exec_id, kind, arguments)
            return _opened(await self._receive(command_id, answered))
        finally:
            del self._answers[command_id]

    async def _send(
        self, command_id: str, node_id: str, exec_id: str, kind: str, arguments: Mapping[str, Json]
    ) -> None:
        row: dict[str, Param] = {
            "id": command_id,
            "node_id": node_id,
            "workflow_exec_id": exec_id,
            "kind": kind,
            "arguments": msgspec.json.encode(arguments).decode(),
            "created_at": clock.now_us(),
        }

        def work(tx: Any) -> None:
            Commands(tx).insert(row)
            self._node.tell_with(tx, "command", node_id)

        try:
            await settle(self._db.write(work))
        except Conflict:  # there is no such node any more
            raise Gone from None

    async def _receive(self, command_id: str, answered: asyncio.Event) -> str:
        """Return the answer, and forget the command."""
        deadline = clock.monotonic() + LONGEST
        while clock.monotonic() < deadline:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await answered.wait()
            answered.clear()
            with suppress(Unavailable):  # the database may be back before the patience is over
                row = await settle(self._db.read(lambda tx: Commands(tx).get(command_id)))
                if row is None:
                    raise Vanished
                if row["answer"] is not None:
                    self._work.begin(self._forget(command_id))
                    return str(row["answer"])
        self._work.begin(self._forget(command_id))
        raise OutcomeUnknown(
            "The server that holds the run does not answer; it may or may not do it: look before"
            " repeating."
        )

    async def _forget(self, command_id: str) -> None:
        with suppress(ApplianceError):  # it goes with the node that it was for
            await settle(self._db.write(lambda tx: Commands(tx).delete(command_id)))

    def _answered(self, command_id: str) -> None:
        if command_id in self._answers:
            self._answers[command_id].set()

    # -- what others ask --------------------------------------------------------------------------

    def _called(self, node_id: str) -> None:
        if node_id in ("", self._node.node_id):
            self._work.begin(self._look())

    async def _look(self) -> None:
        node_id = self._node.node_id
        if node_id is None:
            return
        try:
            rows = await settle(self._db.read(lambda tx: Commands(tx).of_node(node_id)))
        except ApplianceError as error:
            log.warning("commands.not_read", error=error.message)
            return
        for row in rows:
            if row["id"] not in self._taken:
                self._taken.add(row["id"])
                self._work.begin(self._answer(row))

    async def _answer(self, row: Row) -> None:
        command_id = row["id"]
        try:
            answer = await self._done(row)

            def work(tx: Any) -> None:
                Commands(tx).answer(command_id, answer)
                self._node.tell_with(tx, "answer", command_id)

            await settle(self._db.write(work))
        except ApplianceError as error:  # who asked will look elsewhere, or give up
            log.warning("command.not_answered", kind=row["kind"], error=error.message)
        finally:
            self._taken.discard(command_id)

    async def _done(self, row: Row) -> str:
        arguments = msgspec.json.decode(row["arguments"])
        try:
            value = await self._perform(row["kind"], row["workflow_exec_id"], arguments)
        except ApplianceError as error:
            problem = {"code": error.code, "message": error.message, "details": error.details}
            return msgspec.json.encode({"problem": problem}).decode()
        return msgspec.json.encode({"value": value}).decode()


def _opened(answer: str) -> Json:
    """Return the value in an answer. Raises the problem that it tells."""
    found = msgspec.json.decode(answer)
    if "problem" in found:
        problem = found["problem"]
        raise errors.named(problem["code"])(problem["message"], **problem["details"])
    return found["value"]
