"""Knowledge as files declare it: embedders, vector databases, knowledge bases and their bindings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.language.model import Json
from appliance.language.sections import Section
from appliance.language.selectors import Known, selector
from appliance.language.shapes import Field, Shape, choice, each, mapping, needed, number, whole

_PARTS = ("embedder", "vector_db")

EMBEDDER: Shape = {
    "id": Section.needed_text,
    "provider": needed(choice("openai", "vertex", "local")),
    "model": Section.needed_text,
    "api_key": Section.text,
    "config": needed(
        mapping(
            {
                "dimension": needed(whole(1)),
                "batch_size": whole(1),
                "max_concurrent_workers": whole(1),
                "strip_newlines": Section.flag,
                "retry": mapping(
                    {"attempts": whole(0), "backoff_ms": whole(0), "max_backoff_ms": whole(0)}
                ),
                "cache": mapping({"enabled": Section.flag, "size": whole(0)}),
            }
        )
    ),
}
_PGVECTOR: Shape = {
    "index": mapping(
        {
            "type": choice("ivfflat", "hnsw"),
            "lists": whole(1),
            "m": whole(1),
            "ef_construction": whole(1),
        }
    ),
    "pool": Section.values,
    "search": mapping({"probes": whole(1), "ef_search": whole(1)}),
}
VECTOR_DB: Shape = {
    "id": Section.needed_text,
    "type": needed(choice("pgvector", "qdrant", "redis", "filesystem")),
    "config": needed(
        mapping(
            {
                "dsn": Section.text,
                "path": Section.text,
                "table": Section.text,
                "collection": Section.text,
                "index": Section.text,
                "ensure_index": Section.flag,
                "metric": choice("cosine", "l2", "ip"),
                "dimension": needed(whole(1)),
                "consistency": Section.text,
                "auth": Section.strings,
                "max_top_k": whole(1),
                "pgvector": mapping(_PGVECTOR),
            }
        )
    ),
}
_SOURCES = each(
    {
        "type": needed(choice("url", "markdown_glob")),
        "path": Section.text,
        "paths": Section.texts,
        "urls": Section.texts,
    }
)
_RETRIEVAL: Shape = {
    "top_k": whole(1, 50),
    "min_score": number(0, 1),
    "max_tokens": whole(1),
    "min_results": whole(0),
    "inject_as": Section.text,
    "fallback": Section.text,
    "filters": Section.values,
    "tool_fallback": choice("never", "escalate", "auto"),
}


def binding(known: Known) -> Field:
    """A list of at most one binding to a knowledge base."""
    shape: Shape = {
        "id": needed(selector("knowledge_base", known)),
        "top_k": whole(1, 50),
        "min_score": number(0, 1),
        "max_tokens": whole(1),
        "inject_as": Section.text,
        "fallback": Section.text,
        "filters": Section.values,
    }

    def read(section: Section, key: str) -> Json:
        bindings = each(shape)(section, key)
        if len(bindings) > 1:
            section.error("only one knowledge binding can stand here", key, 1)
        return bindings

    return read


def knowledge_base(known: Known) -> Shape:
    """Return the fields of a knowledge base."""
    return {
        "id": Section.needed_text,
        "description": Section.text,
        "embedder": needed(selector("embedder", known)),
        "vector_db": needed(selector("vector_db", known)),
        "ingest": choice("manual", "on_start"),
        "sources": _SOURCES,
        "chunking": mapping(
            {
                "strategy": choice("recursive_text_splitter"),
                "size": whole(64, 8192),
                "overlap": whole(0),
            }
        ),
        "preprocess": mapping({"dedupe": Section.flag, "remove_html": Section.flag}),
        "retrieval": mapping(_RETRIEVAL),
        "metadata": mapping({"tags": Section.texts, "owners": Section.texts}),
    }


def _check_secret(section: Section, key: str, read: dict[str, Any]) -> None:
    if read.get(key) and "{{" not in read[key]:
        message = f"{key} must not stand in a file; write {key}: '{{{{ .env.NAME }}}}'"
        section.error(message, key)


def check_embedder(section: Section, read: dict[str, Any]) -> None:
    """Check what one field of an embedder alone does not say."""
    _check_secret(section, "api_key", read)


def check_vector_db(section: Section, read: dict[str, Any]) -> None:
    """Check what one field of a vector database alone does not say."""
    config = read.get("config") or {}
    inner = section.section("config")
    if inner is not None:
        _check_secret(inner, "dsn", config)
        if read.get("type") == "qdrant" and not config.get("dsn"):
            inner.error("qdrant needs 'dsn', its address, as a template such as {{ .env.NAME }}")


def check_dimensions(
    entries: Sequence[tuple[str, Section]], found: Mapping[str, Mapping[str, Json]]
) -> None:
    """Check that what a knowledge base embeds fits where it puts it."""
    for kind, section in entries:
        if kind != "knowledge_base":
            continue
        sizes = [_dimension(found.get(part, {}), section.raw(part)) for part in _PARTS]
        if None not in sizes and sizes[0] != sizes[1]:
            message = f"the embedder has {sizes[0]} dimensions, and the vector_db {sizes[1]}"
            section.error(message, "vector_db")


def _dimension(there: Mapping[str, Json], selected: Json) -> Json:
    name = selected.get("id") if isinstance(selected, dict) else selected
    config = (there.get(str(name)) or {}).get("config")
    return config.get("dimension") if isinstance(config, dict) else None
