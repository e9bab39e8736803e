"""The audit log: what was done to users, keys and data, written in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance import clock, ids
from appliance.language.model import Json
from appliance.operations.actors import Actor, require_admin
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.store.audit import Audit
from appliance.store.database import Database, Row, Transaction, settle

_NEWEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"


def record(
    tx: Transaction,
    actor: Actor,
    action: str,
    subject: str,
    details: Mapping[str, Json] | None = None,
) -> None:
    """Note in *tx* that *actor* did *action* (`noun.verbed`) to *subject* (an id or address).

    *details* is JSON and holds no secret. Raises what the transaction raises.
    """
    Audit(tx).insert(
        {
            "id": ids.new_id(),
            "at": clock.now_us(),
            "actor": actor.user_id,
            "actor_email": actor.email,
            "action": action,
            "subject": subject,
            "details": msgspec.json.encode(details or {}).decode(),
        }
    )


async def list_audit(
    db: Database,
    actor: Actor,
    *,
    action: str = "",
    by: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return entries, newest first; *by* is the id of who did it, empty filters are any.

    Raises Forbidden unless *actor* is an admin, InvalidInput for a bad cursor.
    """
    require_admin(actor)
    before = decode_cursor(cursor) if cursor else _NEWEST

    def work(tx: Transaction) -> list[Row]:
        return Audit(tx).page(action=action, actor=by, before=before, limit=limit + 1)

    rows = await settle(db.read(work, scan=bool(action or by)))
    return page_of([_entry(row) for row in rows], limit, "id")


def _entry(row: Row) -> dict[str, Json]:
    details = msgspec.json.decode(row["details"])
    return {**row, "at": clock.to_rfc3339(row["at"]), "details": details}
