"""Opening the appliance in the process of a command, where no server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from appliance import log
from appliance.config import Settings, check_knowledge

if TYPE_CHECKING:
    from appliance.language.model import Project
    from appliance.operations.appliance import Appliance


@asynccontextmanager
async def opened(settings: Settings, project: Project) -> AsyncIterator[Appliance]:
    """Open the appliance for one command. Interrupted runs are left to the next server.

    Raises: what `Appliance.open` raises.
    """
    log.configure("warning", settings.log_format)
    from appliance.operations.appliance import Appliance

    check_knowledge(settings, project.vector_dbs)
    async with Appliance.open(settings, project, resume=False) as appliance:
        yield appliance
