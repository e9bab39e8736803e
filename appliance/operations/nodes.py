"""Nodes: the servers that share the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance import clock
from appliance.clock import MICROSECONDS
from appliance.language.model import Json
from appliance.operations.actors import Actor, require_admin
from appliance.store.database import Row, settle

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance


async def list_nodes(appliance: Appliance, actor: Actor) -> list[dict[str, Json]]:
    """Return every server, the oldest first: that one leads.

    `lease_age` and `lease_left` are seconds by the clock of the database, null where a server is
    alone. Raises Forbidden, and the errors of `Database.read`.
    """
    require_admin(actor)
    rows, now = await settle(appliance.db.read(appliance.node.members))
    return [_shown(row, now, leads=row is rows[0]) for row in rows]


def _shown(row: Row, now: int, *, leads: bool) -> dict[str, Json]:
    leased = row["lease_until"] is not None
    return {
        "id": row["id"],
        "name": row["name"],
        "version": row["version"],
        "url": row["url"],
        "leads": leads,
        "runs": row["runs"],
        "calls": row["calls"],
        "lease_age": (now - row["renewed_at"]) / MICROSECONDS if leased else None,
        "lease_left": (row["lease_until"] - now) / MICROSECONDS if leased else None,
        "started_at": clock.to_rfc3339(row["started_at"]),
    }
