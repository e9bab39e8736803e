"""A node: a member among the servers of a PostgreSQL database, for as long as it renews its lease.

A lease goes by the clock of the database. Who does not renew it in time is declared dead by the
others: its row goes, and its runs are nobody's until one of them takes them. Every write of a node
locks its own row, so what a dead node still sends is refused, and it learns of it (a fencing token:
Kleppmann, "How to do distributed locking", 2016). Who was late itself declares nobody dead in that
round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import structlog

from appliance import __version__, clock, ids
from appliance.background import Background
from appliance.clock import MICROSECONDS
from appliance.cluster.membership import Hear, Load
from appliance.config import DatabaseSettings, NodeSettings
from appliance.errors import ApplianceError, Fenced
from appliance.store import open_beside, open_wire
from appliance.store.database import Database, Param, Row, T, Transaction, Work, refused, settle
from appliance.store.locks import PATIENCE_S
from appliance.store.nodes import Nodes
from appliance.store.wire import Wire

RENEWALS = 3
"""How often a lease is renewed in its own time."""

RETRY_AFTER = 1.0
"""Seconds until a database that could not answer is asked again."""

AFTER_THE_END = 0.1
"""Seconds from the end of a lease until somebody looks whether it was renewed."""

log = structlog.get_logger(__name__)


class _State(NamedTuple):
    """What a node finds when it renews its lease; `members` is empty when it is none itself."""

    members: list[Row]
    now: int
    dead: tuple[str, ...] = ()
    """Members that were declared dead now."""


class Node:
    """One of several servers. See `Membership`. Made before the engine, opened after it."""

    shared = True

    def __init__(
        self, db: Database, database: DatabaseSettings, about: NodeSettings, home: str
    ) -> None:
        self._db = db
        self._database = database
        self._about = about
        self._home = home
        self._sender = ids.new_id()
        self._hearers: dict[str, list[Hear]] = {}
        self._started_at = clock.now_us()
        self._work = Background()
        self._wire: Wire | None = None
        self._leases: Database | None = None
        self.node_id: str | None = None
        self.leads = False
        self._url = ""
        self.on_lost: Callable[[], None] = lambda: None
        self.on_joined: Callable[[], None] = lambda: None
        self.on_lead: Callable[[bool], None] = lambda _: None
        self.size = 1
        self._has_a_former = False
        self._sure_until = 0.0

    async def open(self, load: Callable[[], Load]) -> None:
        """Become a member and stay one; *load* tells how much there is to do. See `Membership`."""
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        # A paused server may hold what the others wait to write; to end that they must not wait too.
        self._leases = await asyncio.to_thread(open_beside, self._database, self._db.session)
        self._wire = open_wire(
            self._database, self._db.session, hear=self._told, connected=self._connected
        )
        self.hear("nodes", lambda _: self._changed.set())
        await self._join()
        await self._outlive_the_former()
        self._work.begin(self._live())

    async def close(self) -> None:
        """Give everything back and leave, as far as the database can be reached."""
        await self._work.stop()
        node_id, self.node_id = self.node_id, None
        if node_id is not None:
            with suppress(ApplianceError):
                await self._lease(partial(self._end, node_id=node_id))
        for connection in (self._wire, self._leases):
            if connection is not None:
                await asyncio.to_thread(connection.close)

    async def _lease(self, work: Work[T]) -> T:
        """Do what has to do with leases."""
        assert self._leases is not None
        return await settle(self._leases.write(work))

    def announce(self, url: str) -> None:
        """Tell where this server answers, with the next renewal of its lease, which is now."""
        self._url = url
        self._changed.set()

    def members(self, tx: Transaction) -> tuple[list[Row], int]:
        """Return all servers, the oldest first, and the time that their leases go by."""
        nodes = Nodes(tx)
        return nodes.all(), nodes.now()

    @property
    def is_member(self) -> bool:
        """Whether it has joined, and the others have not declared it dead since."""
        return self.node_id is not None

    @property
    def sure(self) -> bool:
        """Whether the lease cannot be over yet, by a clock that never jumps."""
        return self.node_id is not None and clock.monotonic() < self._sure_until

    async def made_sure(self) -> bool:
        """Wait until the lease was renewed; False when others have taken over."""
        node_id = self.node_id
        while not self.sure and node_id is not None and node_id == self.node_id:
            self._changed.set()
            await asyncio.sleep(AFTER_THE_END)
        return self.holds(node_id)

    def holds(self, node_id: str | None) -> bool:
        """Whether a run that is stored as that of *node_id* is this server's."""
        return node_id is not None and node_id == self.node_id

    # -- what others are told ---------------------------------------------------------------------

    def hear(self, topic: str, hear: Hear) -> None:
        """Have *hear* called with what others tell about *topic*. See `Membership`."""
        self._hearers.setdefault(topic, []).append(hear)

    def tell(self, topic: str, text: str = "") -> None:
        """Tell the others about *topic*, if there are any."""
        if self.size > 1 and self._wire is not None:
            self._wire.tell(f"{topic} {self._sender} {text}")

    def tell_with(self, tx: Transaction, topic: str, text: str = "") -> None:
        """Tell the others if and when *tx* is durable."""
        Nodes(tx).notify(f"{topic} {self._sender} {text}")

    def _told(self, message: str) -> None:
        """Hear something, on the thread of the wire."""
        topic, sender, text = message.split(" ", 2)
        if sender != self._sender:
            self._loop.call_soon_threadsafe(self._pass_on, topic, text)

    def _connected(self) -> None:
        self._loop.call_soon_threadsafe(self._look_everywhere)

    def _look_everywhere(self) -> None:
        for topic in self._hearers:
            self._pass_on(topic, "")

    def _pass_on(self, topic: str, text: str) -> None:
        for hear in self._hearers.get(topic, ()):
            hear(text)

    # -- membership -------------------------------------------------------------------------------

    def write(self, work: Work[T]) -> Future[T]:
        """Do what `Database.write` does, but only as a member. See `Membership`."""
        node_id = self.node_id
        if node_id is None:
            return refused(Fenced())

        def held(tx: Transaction) -> T:
            if not Nodes(tx).hold(node_id):
                raise Fenced
            return work(tx)

        def look_whether_fenced(written: Future[Any]) -> None:
            if isinstance(written.exception(), Fenced):
                self._loop.call_soon_threadsafe(self.fenced, node_id)

        future = self._db.write(held)
        future.add_done_callback(look_whether_fenced)
        return future

    def fenced(self, node_id: str | None) -> None:
        """Take note that others have taken over; let go of everything and join anew."""
        if node_id is None or node_id != self.node_id:
            return  # it is known already
        log.warning("node.fenced", node=node_id)
        self.node_id = None
        self._lead(leads=False)
        self.on_lost()
        self._work.begin(self._rejoin())

    async def _rejoin(self) -> None:
        while self.node_id is None:
            try:
                await self._join()
            except ApplianceError as error:
                log.warning("node.not_joined", error=error.message)
                await asyncio.sleep(RETRY_AFTER)
        self._changed.set()
        self.on_joined()

    async def _join(self) -> None:
        node_id = ids.new_id()
        row: dict[str, Param] = {
            **self._shown(node_id),
            "home": self._home,
            "session": self._db.session,
            "name": self._about.name,
            "version": __version__,
            "started_at": self._started_at,
        }
        asked = clock.monotonic()
        state = await self._lease(partial(self._enter, row=row))
        self.node_id, self._sure_until = node_id, asked + self._about.lease
        log.info("node.joined", node=node_id, others=len(state.members) - 1)
        self._follow(state)

    async def _outlive_the_former(self) -> None:
        """Look for a moment whether the server before this one has gone, and left its runs behind.

        PostgreSQL takes so long to notice. One that lives in a home of the same name stays.
        """
        deadline = clock.monotonic() + PATIENCE_S
        while self._has_a_former and clock.monotonic() < deadline:
            await asyncio.sleep(AFTER_THE_END)
            await self._tick()

    def _shown(self, node_id: str) -> dict[str, Param]:
        """Return what others are shown, and what may change."""
        return {"id": node_id, "url": self._url, **self._load()._asdict()}

    async def _live(self) -> None:
        """Renew the lease in time, and look whether others do."""
        patience = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._changed.wait()
            self._changed.clear()
            patience = await self._tick()

    async def _tick(self) -> float:
        """Renew the lease; return after how many seconds to do it again."""
        node_id = self.node_id
        if node_id is None:
            return RETRY_AFTER
        asked = clock.monotonic()
        try:
            state = await self._lease(partial(self._renew, row=self._shown(node_id)))
        except ApplianceError as error:
            log.warning("node.not_renewed", error=error.message)
            return RETRY_AFTER
        if node_id != self.node_id:
            return 0.0
        if not state.members:
            self.fenced(node_id)
            return RETRY_AFTER
        self._sure_until = asked + self._about.lease
        self._follow(state)
        if state.dead:
            self.on_joined()
        return self._patience(state)

    def _patience(self, state: _State) -> float:
        ends = [row["lease_until"] - state.now for row in state.members if not self._is_me(row)]
        wanted = self._about.lease / RENEWALS
        soonest = min((end / MICROSECONDS for end in ends), default=wanted)
        return max(AFTER_THE_END, min(wanted, soonest + AFTER_THE_END))

    def _is_me(self, row: Row) -> bool:
        return bool(row["id"] == self.node_id)

    def _follow(self, state: _State) -> None:
        homes = [row["home"] for row in state.members if not self._is_me(row)]
        self._has_a_former = self._home in homes
        for dead in state.dead:
            log.warning("node.dead", node=dead)
        self.size = len(state.members)
        self._lead(leads=self._is_me(state.members[0]))

    def _lead(self, *, leads: bool) -> None:
        if leads != self.leads:
            self.leads = leads
            self.on_lead(leads)

    # -- in a transaction -------------------------------------------------------------------------

    def _enter(self, tx: Transaction, *, row: dict[str, Param]) -> _State:
        nodes = Nodes(tx)
        now = nodes.now()
        nodes.insert({**row, **self._leased(now)})
        dead = self._bury(tx, str(row["id"]), now)
        self.tell_with(tx, "nodes")
        return _State(nodes.all(), now, dead)

    def _renew(self, tx: Transaction, *, row: dict[str, Param]) -> _State:
        nodes, node_id = Nodes(tx), str(row["id"])
        now = nodes.now()
        late = {member["id"]: member["session"] for member in nodes.all() if _is_over(member, now)}
        if not nodes.renew({**row, **self._leased(now)}):
            return _State([], now)
        if node_id in late:  # the database was away or its clock was set, and all were as late
            return _State(nodes.all(), now)
        for session in late.values():
            nodes.evict(session)
        dead = self._bury(tx, node_id, now)
        return _State(nodes.all(), now, dead)

    def _leased(self, now: int) -> dict[str, Param]:
        return {"renewed_at": now, "lease_until": now + round(self._about.lease * MICROSECONDS)}

    def _bury(self, tx: Transaction, node_id: str, now: int) -> tuple[str, ...]:
        """Declare dead who is; return who that was."""
        dead = Nodes(tx).dead(node_id, self._home, now)
        for other in dead:
            self._end(tx, node_id=other)
        return tuple(dead)

    def _end(self, tx: Transaction, *, node_id: str) -> None:
        """End a membership; the runs of the node are nobody's then."""
        nodes = Nodes(tx)
        nodes.disown(node_id)
        nodes.delete(node_id)
        self.tell_with(tx, "nodes")
        self.tell_with(tx, "orphans")


def _is_over(member: Row, now: int) -> bool:
    """Whether a lease is over, or was given by a clock that was put back since by more than a lease."""
    given, until = member["renewed_at"], member["lease_until"]
    return bool(until < now or given - (until - given) > now)
