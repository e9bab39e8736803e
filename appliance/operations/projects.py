"""The project as a whole: reading it again while the server runs."""

from __future__ import annotations

from appliance.operations import audit
from appliance.operations.actors import Actor, require_admin
from appliance.operations.appliance import Appliance
from appliance.store.database import settle


async def reload_project(appliance: Appliance, actor: Actor) -> list[str]:
    """Read the project again and return what is different now, in sentences.

    Raises Forbidden, InvalidProject, InvalidInput (the tools cannot be imported), NotSupported.
    """
    require_admin(actor)
    changes = await appliance.reload()
    details = {"changes": changes}
    name = appliance.project.name
    await settle(
        appliance.db.write(lambda tx: audit.record(tx, actor, "project.reloaded", name, details))
    )
    return changes
