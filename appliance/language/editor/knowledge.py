"""Embedders, vector databases, knowledge bases and what binds them. Nothing runs them yet."""

from __future__ import annotations

from typing import Any

from appliance.language.editor.fields import (
    Schema,
    choice,
    each,
    flag,
    mapping,
    needed_text,
    number,
    resource,
    selected,
    silent,
    strings,
    text,
    texts,
    values,
    whole,
)

_SILENT = silent("author", "CWD", "cwd", "file_path")


def _secret(about: str) -> Schema:
    """A text that must not stand in a file, so it is a template or empty."""
    return text(
        f"{about} A template such as {{{{ .env.NAME }}}}, never the text itself.",
        pattern="^$|\\{\\{",
        patternErrorMessage="It must not stand in a file; write '{{ .env.NAME }}'.",
    )


EMBEDDER = mapping(
    "Turns texts into vectors.",
    {
        "id": needed_text("What knowledge bases call it."),
        **resource("embedder"),
        "provider": choice("Who runs it.", "openai", "vertex", "local"),
        "model": needed_text("Its name at the provider."),
        "api_key": _secret("Key of the provider."),
        "config": mapping(
            "How it works.",
            {
                "dimension": whole("Length of a vector.", 1),
                "batch_size": whole("Texts at once.", 1),
                "max_concurrent_workers": whole("Requests at once.", 1),
                "strip_newlines": flag("Take line breaks out of texts."),
                "retry": mapping(
                    "When a request fails.",
                    {
                        "attempts": whole("How often it is tried again.", 0),
                        "backoff_ms": whole("Pause before that, in milliseconds.", 0),
                        "max_backoff_ms": whole("The longest pause, in milliseconds.", 0),
                    },
                ),
                "cache": mapping(
                    "Remember vectors.",
                    {"enabled": flag("Whether to."), "size": whole("How many.", 0)},
                ),
            },
            "dimension",
        ),
        **_SILENT,
    },
    "id",
    "provider",
    "model",
    "config",
)
_PGVECTOR = mapping(
    "Settings of pgvector.",
    {
        "index": mapping(
            "Its index.",
            {
                "type": choice("The kind of index.", "ivfflat", "hnsw"),
                "lists": whole("Lists of ivfflat.", 1),
                "m": whole("Neighbours in hnsw.", 1),
                "ef_construction": whole("Candidates while hnsw is built.", 1),
            },
        ),
        "pool": values("Its connections."),
        "search": mapping(
            "How it searches.",
            {
                "probes": whole("Lists that ivfflat looks at.", 1),
                "ef_search": whole("Candidates of hnsw.", 1),
            },
        ),
    },
)
VECTOR_DB = mapping(
    "Keeps vectors.",
    {
        "id": needed_text("What knowledge bases call it."),
        **resource("vector_db", "vectordb"),
        "type": choice("What it is.", "pgvector", "qdrant", "redis", "filesystem"),
        "config": mapping(
            "Where it is.",
            {
                "dsn": _secret("Its address; qdrant needs it."),
                "path": text("Its directory."),
                "table": text("Its table."),
                "collection": text("Its collection."),
                "index": text("Its index."),
                "ensure_index": flag("Make the index where there is none."),
                "metric": choice("How near is measured.", "cosine", "l2", "ip"),
                "dimension": whole("Length of a vector; that of the embedder.", 1),
                "consistency": text("How strict it is."),
                "auth": strings("What proves who asks."),
                "max_top_k": whole("The most results.", 1),
                "pgvector": _PGVECTOR,
            },
            "dimension",
        ),
        **_SILENT,
    },
    "id",
    "type",
    "config",
)
_SOURCE = mapping(
    "Where texts come from.",
    {
        "type": choice("What it is.", "url", "markdown_glob"),
        "path": text("A file or a pattern."),
        "paths": texts("Files or patterns."),
        "urls": texts("Addresses."),
    },
    "type",
)
_FOUND: dict[str, Any] = {
    "top_k": whole("The most texts.", 1, 50),
    "min_score": number("How near a text must be.", 0, 1),
    "max_tokens": whole("The most tokens together.", 1),
    "inject_as": text("What the texts are called in the prompt."),
    "fallback": text("What stands there where nothing was found."),
    "filters": values("What else a text must be."),
}
KNOWLEDGE_BASE = mapping(
    "Texts that can be searched by meaning.",
    {
        "id": needed_text("What agents call it."),
        **resource("knowledge_base"),
        "description": text("What is in it, for people."),
        "embedder": selected("Its embedder.", "embedder"),
        "vector_db": selected("Its vector database.", "vector database"),
        "ingest": choice("When texts are read.", "manual", "on_start"),
        "sources": each("Where texts come from.", _SOURCE),
        "chunking": mapping(
            "How texts are cut.",
            {
                "strategy": choice("The way to cut.", "recursive_text_splitter"),
                "size": whole("Length of a piece.", 64, 8192),
                "overlap": whole("How much two pieces share.", 0),
            },
        ),
        "preprocess": mapping(
            "What is done before.",
            {
                "dedupe": flag("Leave out what is there twice."),
                "remove_html": flag("Take out HTML."),
            },
        ),
        "retrieval": mapping(
            "What a search gives.",
            {
                **_FOUND,
                "min_results": whole("The fewest texts.", 0),
                "tool_fallback": choice("Whether tools help.", "never", "escalate", "auto"),
            },
        ),
        "metadata": mapping(
            "For people.", {"tags": texts("Words for it."), "owners": texts("Who looks after it.")}
        ),
        **_SILENT,
    },
    "id",
    "embedder",
    "vector_db",
)
BINDING = each(
    "A knowledge base to look things up in; one at most.",
    mapping(
        "A knowledge base, and what a search in it gives.",
        {
            "id": selected("The knowledge base.", "knowledge base"),
            **_FOUND,
        },
        "id",
    ),
    maxItems=1,
)
