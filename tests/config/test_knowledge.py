"""Rules of combining SQLite with vector databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import (
    DatabaseSettings,
    Settings,
    check_knowledge,
)
from appliance.errors import InvalidConfiguration


class TestKnowledge:
    SQLITE = DatabaseSettings(driver="sqlite", path=":memory:")
    POSTGRES = DatabaseSettings(driver="postgres", conninfo="postgresql://h/d")

    def settings(self, database: DatabaseSettings, *entries: dict[str, str]) -> Settings:
        return Settings(
            cwd=Path("/"), data_dir=Path("/data"), database=database, knowledge_vector_dbs=entries
        )

    @pytest.mark.parametrize("key", ["type", "provider"])
    @pytest.mark.parametrize("kind", ["pgvector", "PGVector", " pgvector "])
    def test_pgvector_needs_postgres(self, key: str, kind: str) -> None:
        """SQLite with pgvector is refused wherever it is declared, naming the alternatives."""
        entry = {"id": "v", key: kind}
        for settings, project in (
            (self.settings(self.SQLITE, entry), []),
            (self.settings(self.SQLITE, {"type": "qdrant"}), [entry]),
        ):
            with pytest.raises(InvalidConfiguration) as caught:
                check_knowledge(settings, project)
            message = caught.value.message
            assert "pgvector provider is incompatible with SQLite driver" in message
            assert "qdrant, redis or filesystem" in message
        assert [] == check_knowledge(self.settings(self.POSTGRES, entry), [entry])

    @pytest.mark.parametrize("kind", ["qdrant", "redis", "filesystem"])
    def test_others_pass(self, kind: str) -> None:
        """Vector databases outside PostgreSQL go with SQLite."""
        assert [] == check_knowledge(self.settings(self.SQLITE), [{"id": "v", "type": kind}])

    def test_none(self) -> None:
        """SQLite without a vector database is worth one warning; PostgreSQL is not."""
        (warning,) = check_knowledge(self.settings(self.SQLITE), [])
        assert "SQLite mode without vector database" in warning
        assert [] == check_knowledge(self.settings(self.POSTGRES), [])
