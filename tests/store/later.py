"""Migrations of versions that are yet to come, and databases that have met them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from appliance.config import DatabaseSettings
from appliance.store import migrations
from appliance.store.migrations import Script

LATEST = migrations.latest()
EXPANDING = Script(
    LATEST + 1,
    "moods",
    LATEST,
    """
    ALTER TABLE workflow_states ADD COLUMN mood TEXT;
    ALTER TABLE nodes ADD COLUMN mood TEXT;
    CREATE TABLE moods (id BIGINT PRIMARY KEY);
    """,
    """
    DROP TABLE moods;
    ALTER TABLE nodes DROP COLUMN mood;
    ALTER TABLE workflow_states DROP COLUMN mood;
    """,
)
CONTRACTING = Script(
    LATEST + 2,
    "no_started_by",
    LATEST + 1,
    "ALTER TABLE workflow_states DROP COLUMN started_by;",
    "ALTER TABLE workflow_states ADD COLUMN started_by TEXT;",
)


@contextmanager
def version_with(*scripts: Script) -> Iterator[None]:
    """Let the program have these migrations after its own for this block."""
    own = migrations.scripts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "scripts", lambda driver: (*own(driver), *scripts))
        yield


def apply(settings: DatabaseSettings, *scripts: Script) -> None:
    """Bring a database to the schema of a version with these migrations."""
    with version_with(*scripts):
        migrations.up(settings)
