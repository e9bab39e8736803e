"""The start-up guard of vector databases: pgvector lives in PostgreSQL, so SQLite cannot have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from appliance.config.settings import Settings
from appliance.errors import InvalidConfiguration

_NONE = (
    "SQLite mode without vector database: knowledge features will not work;"
    " declare one of type qdrant, redis or filesystem to use them."
)


def check_knowledge(
    settings: Settings, project_vector_dbs: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Return warnings about vector databases; both places that may declare them are looked at.

    Raises: InvalidConfiguration when SQLite is to be combined with pgvector.
    """
    if settings.database.driver != "sqlite":
        return []
    entries = [*settings.knowledge_vector_dbs, *project_vector_dbs]
    for entry in entries:
        kinds = {str(entry.get(key, "")).strip().lower() for key in ("type", "provider")}
        if "pgvector" in kinds:
            raise InvalidConfiguration(
                f"pgvector provider is incompatible with SQLite driver (vector database"
                f' "{entry.get("id", "?")}"); use qdrant, redis or filesystem instead,'
                f" or choose PostgreSQL with DATABASE_URL."
            )
    if entries:
        return []
    return [_NONE]
