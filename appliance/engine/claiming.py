"""Claiming: a node takes runs that no node holds. Where there is one server it has nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from appliance.cluster.membership import Membership
from appliance.engine.admission import Admission
from appliance.engine.driver import Driver
from appliance.engine.recovery import STABLE_AFTER, after_stop
from appliance.engine.run import Run
from appliance.errors import ApplianceError
from appliance.failpoint import failpoint
from appliance.store.claims import Claims
from appliance.store.database import Database, Transaction, settle

AT_ONCE = 64
"""Runs that are taken in one transaction: few enough that other nodes take their share."""

RETRY_AFTER = 1.0
"""Seconds until runs that could not be taken are looked for again."""

log = structlog.get_logger(__name__)


class Claiming:
    """Takes runs for this node. For one event loop."""

    def __init__(
        self,
        db: Database,
        node: Membership,
        driver: Driver,
        admission: Admission,
        limit_of: Callable[[str], int],
    ) -> None:
        self._db = db
        self._node = node
        self._driver = driver
        self._admission = admission
        self._limit_of = limit_of
        self._waiting = False
        """Whether there may be runs in line that no node holds."""
        self._looking: asyncio.Task[None] | None = None
        self._again = False
        self._orphans = False
        node.hear("line", lambda _: self.look())
        node.hear("orphans", lambda _: self.look(orphans=True))

    def close(self) -> None:
        """Take nothing more."""
        if self._looking is not None:
            self._looking.cancel()

    # -- one run ----------------------------------------------------------------------------------

    async def holder(self, exec_id: str) -> str | None:
        """Return the node that holds a run, this one where nobody did; None when it has ended."""
        node_id = self._node.node_id
        if node_id is None:
            return None

        def look(tx: Transaction) -> str | None:
            return Claims(tx, node_id).holder(exec_id)

        def take(tx: Transaction) -> str | None:
            Claims(tx, node_id).run(exec_id)
            return look(tx)

        return await settle(self._db.read(look)) or await settle(self._node.write(take))

    def line_up(self, run: Run) -> None:
        """Let any node take a run for which there is no room here now."""
        if run.version > 1:  # it was taken, and may be stored as ours
            self._put_back(run.id)
        self._node.tell("line")
        self.look()

    def _put_back(self, exec_id: str) -> None:
        node_id = self._node.node_id
        if node_id is not None:
            self._node.write(lambda tx: Claims(tx, node_id).put_back(exec_id))

    # -- all that nobody holds --------------------------------------------------------------------

    def room(self) -> None:
        """Take note that there may be room for a run that is in line."""
        if self._waiting:
            self.look()

    def look(self, *, orphans: bool = False) -> None:
        """Take what there is to take, soon."""
        self._again = self._waiting = True
        self._orphans = self._orphans or orphans
        if self._looking is None and self._node.shared:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            while self._again and self._node.node_id is not None:
                self._again = False
                await self._take()
        except ApplianceError as error:
            log.warning("runs.not_taken", error=error.message)
            asyncio.get_running_loop().call_later(RETRY_AFTER, self.look)
        finally:
            self._looking = None

    async def _take(self) -> None:
        if self._orphans:
            self._orphans = False
            try:
                await self.take_orphans()
            except ApplianceError:
                self._orphans = True
                raise
        while await self._take_in_line():
            pass

    async def take_orphans(self) -> int:
        """Take up every run that was under way and that no node holds; return how many."""
        taken = 0
        while (node_id := self._node.node_id) is not None:
            claim = partial(_orphans, node_id=node_id)
            found = await settle(self._node.write(claim))
            await asyncio.gather(*map(self._go_on, found))
            taken += len(found)
            if len(found) < AT_ONCE:
                break
        if taken:
            log.info("runs.recovered", count=taken)
            asyncio.get_running_loop().call_later(STABLE_AFTER, self._driver.trust)
        return taken

    async def _go_on(self, exec_id: str) -> None:
        try:
            run = await self._driver.read(exec_id)
        except Exception:
            # One unreadable run must not keep every other one from going on.
            log.exception("run.unreadable", exec_id=exec_id)
            return
        if self._node.holds(run.node_id) and exec_id not in self._driver.live:
            self._admission.enter(exec_id, run.program.id)
            if run.status == "WAITING":
                self._admission.rest(exec_id)
            self._driver.deliver(self._driver.adopt(run).run, after_stop(run))
            failpoint("recovery.taken_up")

    async def _take_in_line(self) -> bool:
        """Take runs that are in line, as many as there is room for; tell whether there may be more."""
        node_id, room = self._node.node_id, min(self._admission.room, AT_ONCE)
        if node_id is None or not room:
            return False
        claim = partial(_in_line, node_id=node_id, room=room, limit_of=self._limit_of)
        found, lines = await settle(self._node.write(claim))
        self._waiting = bool(lines)
        for exec_id, workflow_id in found:
            self._admission.line_up(exec_id, workflow_id)
        self._driver.admit()
        return bool(found)


def _orphans(tx: Transaction, *, node_id: str) -> list[str]:
    return Claims(tx, node_id).orphans(AT_ONCE)


def _in_line(
    tx: Transaction, *, node_id: str, room: int, limit_of: Callable[[str], int]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Take at most *room* runs, of each workflow its share; return them, and which lines there are."""
    claims = Claims(tx, node_id)
    lines = claims.lines()
    found: list[tuple[str, str]] = []
    for number, workflow_id in enumerate(lines):
        share = -(-(room - len(found)) // (len(lines) - number))
        if limit := limit_of(workflow_id):
            claims.lock(workflow_id)
            share = min(share, limit - claims.under_way(workflow_id))
        if share > 0:
            found += [(exec_id, workflow_id) for exec_id in claims.in_line(workflow_id, share)]
    return found, lines
