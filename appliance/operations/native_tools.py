"""What the native tools may do: what the settings say, and never more than the project may see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from appliance.config import Settings
from appliance.tools.zygote.native.grant import Grant


def grant(settings: Settings, directory: str) -> Grant | None:
    """Return what the native tools of the project in *directory* may do; None = nothing at all."""
    own = settings.runtime.native_tools
    if not own.enabled:
        return None
    return Grant(
        root=str(own.root_dir or directory),
        additional_roots=tuple(map(str, own.additional_roots)),
        protected=tuple(_protected(settings)),
        commands=own.commands,
        path=os.environ.get("PATH", os.defpath),
        exec_timeout=own.exec_timeout,
        max_stdout=own.max_stdout,
        max_stderr=own.max_stderr,
        fetch_timeout=own.fetch_timeout,
        max_body=own.max_body,
        max_redirects=own.max_redirects,
        methods=own.methods,
        private_hosts=own.private_hosts,
    )


def _protected(settings: Settings) -> Iterator[str]:
    """Yield what belongs to the server and may lie inside a root."""
    yield str(settings.data_dir)
    yield from map(str, settings.env_files)
    database = Path(settings.database.path)
    if database.is_absolute():
        yield f"{database}*"  # its journals, and what a restore puts aside
        yield str(database.with_name("instance.lock"))
