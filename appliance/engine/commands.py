"""Commands: what somebody asks a run to do. They are done where the run is held."""

from __future__ import annotations

from collections.abc import Mapping

from appliance import clock
from appliance.cluster.mailbox import Gone, Mailbox
from appliance.cluster.membership import Membership
from appliance.engine.changes import Cancel, Event, Pause, Received, Recover, Resume, Retry
from appliance.engine.claiming import Claiming
from appliance.engine.driver import Driver, Live
from appliance.engine.run import Run
from appliance.errors import Conflict, OutcomeUnknown, Unavailable
from appliance.failpoint import failpoint
from appliance.language.model import Json
from appliance.store.database import Database

MAX_SIGNALS = 1000
"""Signals that one run takes; a run that ignores more than that is waiting for something else."""

_IN_DOUBT = (
    "The server that held the run ended while it was asked; it may or may not have done it: look"
    " before repeating."
)

ATTEMPTS = 3
"""How often somebody is looked for who holds a run, while nodes come and go."""


class Commands:
    """Commands to runs, wherever they are. For one event loop."""

    def __init__(
        self, database: Database, node: Membership, driver: Driver, claiming: Claiming
    ) -> None:
        self._node = node
        self._driver = driver
        self._claiming = claiming
        self._kinds = {
            "signal": self._signal,
            "pause": self._pause,
            "resume": self._resume,
            "retry": self._retry,
            "cancel": self._cancel,
        }
        self._mailbox = Mailbox(database, node, self._perform)

    def close(self) -> None:
        """Do nothing more for others."""
        self._mailbox.close()

    async def give(self, kind: str, exec_id: str, given: Mapping[str, Json] | None = None) -> Json:
        """Have the run do *kind*; return what came of it once that is durable.

        Raises: NotFound, Conflict, OutcomeUnknown when the node that holds it ended or did not answer,
        and the errors of `Database.write`; nothing was done where it is not OutcomeUnknown.
        """
        in_doubt = False
        for _ in range(ATTEMPTS):
            try:
                return await self._give_once(kind, exec_id, given or {})
            except Gone as gone:
                in_doubt = in_doubt or gone.in_doubt
            except (Conflict, Unavailable) as error:
                if in_doubt:  # this may be because it was done
                    raise OutcomeUnknown(_IN_DOUBT) from error
                raise
        if in_doubt:
            raise OutcomeUnknown(_IN_DOUBT)
        msg = f"run {exec_id} goes from server to server now, nothing was done; try again"
        raise Unavailable(msg)

    async def _give_once(self, kind: str, exec_id: str, given: Mapping[str, Json]) -> Json:
        holder = await self._other_holder(exec_id)
        if holder is None:
            return await self._perform(kind, exec_id, given)
        return await self._mailbox.ask(holder, exec_id, kind, given)

    async def _other_holder(self, exec_id: str) -> str | None:
        """Return the node that holds a run, None when it is this one or the run has ended."""
        if not self._node.shared or exec_id in self._driver.live:
            return None
        holder = await self._claiming.holder(exec_id)
        return None if self._node.holds(holder) else holder

    async def _perform(self, kind: str, exec_id: str, given: Mapping[str, Json]) -> Json:
        return await self._kinds[kind](exec_id, given)

    async def _signal(self, exec_id: str, given: Mapping[str, Json]) -> bool:
        live = await self._open_run(exec_id)
        run, signal_id = live.run, given["signal_id"]
        if len(run.signals) >= MAX_SIGNALS:
            msg = f"run {exec_id} has received {MAX_SIGNALS} signals and takes no more"
            raise Conflict(msg)
        name, payload, source = given["name"], given["payload"], given["source"]
        await self._deliver(live, Received(clock.now_us(), signal_id, name, payload, source))
        failpoint("signal.stored")
        return any(known.id == signal_id and known.taken_by for known in run.signals)

    async def _pause(self, exec_id: str, _: Mapping[str, Json]) -> None:
        await self._deliver(await self._open_run(exec_id), Pause(clock.now_us()))

    async def _resume(self, exec_id: str, _: Mapping[str, Json]) -> None:
        live = await self._open_run(exec_id)
        if live.run.status != "PAUSED":
            msg = f"run {exec_id} is not paused ({live.run.status})"
            raise Conflict(msg)
        await self._deliver(live, Resume(clock.now_us()))

    async def _retry(self, exec_id: str, _: Mapping[str, Json]) -> None:
        live = self._driver.live.get(exec_id)
        run = live.run if live is not None else await self._driver.read(exec_id)
        if not run.ended or run.status == "SUCCESS":
            msg = f"run {exec_id} did not fail ({run.status}); only a run that did can be retried"
            raise Conflict(msg)
        await self._deliver(live or self._driver.adopt(run), Retry(clock.now_us()))

    async def _cancel(self, exec_id: str, _: Mapping[str, Json]) -> None:
        await self._deliver(await self._open_run(exec_id), Cancel(clock.now_us()))

    async def _open_run(self, exec_id: str) -> Live:
        """Return a run that has not ended, from memory or as it is stored. Raises Gone."""
        live = self._driver.live.get(exec_id)
        run = live.run if live is not None else await self._driver.read(exec_id)
        if run.ended:
            msg = f"run {exec_id} has ended already ({run.status})"
            raise Conflict(msg)
        if not self._node.holds(run.node_id):
            raise Gone
        return self._driver.live.get(exec_id) or self._take_in(run)

    def _take_in(self, run: Run) -> Live:
        """Hold a run that was stored. One that was paused when it was stored has no work under way."""
        live = self._driver.adopt(run)
        if run.status == "PAUSED":
            self._driver.deliver(run, Recover(clock.now_us()))
        return live

    async def _deliver(self, live: Live, event: Event) -> None:
        self._driver.deliver(live.run, event)
        await self._driver.durable(live.run)
