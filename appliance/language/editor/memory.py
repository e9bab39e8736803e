"""Memories."""

from __future__ import annotations

from appliance.language.editor.fields import (
    choice,
    duration,
    flag,
    idle,
    mapping,
    needed_text,
    number,
    resource,
    silent,
    template,
    text,
    texts,
    values,
    whole,
)

_FLUSHING = mapping(
    "What goes first where a limit is reached.",
    {
        "type": choice(
            "What goes first; hybrid_summary needs a language model.",
            "simple_fifo",
            "lru",
            "token_aware_lru",
            "hybrid_summary",
            default="simple_fifo",
        ),
        "summarize_threshold": number(
            "Share of the limit from which flush does something.", 0, 1, default=0.8
        ),
        "summary_tokens": idle(whole("Length of a summary.", 1)),
        "summarize_oldest_percent": idle(number("Share that is summarized.", 0, 100)),
    },
)
_BREAKER = mapping(
    "When to stop asking.",
    {
        "enabled": flag("Whether to stop."),
        "timeout": duration("The longest answer."),
        "max_failures": whole("Failures before it stops.", 0),
        "reset_timeout": duration("How long it stops."),
    },
)
_PERSISTENCE = mapping(
    "Where messages are kept, and for how long.",
    {
        "type": choice(
            "redis and database both mean the database; in_memory does not survive a restart.",
            "database",
            "redis",
            "in_memory",
        ),
        "ttl": duration("How long messages are kept after the last one; redis needs it."),
        "circuit_breaker": idle(_BREAKER),
    },
)
_PRIVACY = mapping(
    "What is never stored.",
    {
        "redact_patterns": texts("Regular expressions (RE2) of what is hidden."),
        "non_persistable_message_types": texts("Roles whose messages are not stored."),
        "default_redaction_string": text("What stands in its place.", default="[REDACTED]"),
    },
)
_LOCKING = mapping(
    "How long a lock is held.",
    {f"{name}_ttl": duration(f"For {name}.") for name in ("append", "clear", "flush")},
)
_TOKENS = mapping(
    "Who counts tokens.",
    {
        "provider": text("Provider of the model."),
        "model": text("Name of the model."),
        "api_key": text("Key of the provider."),
        "api_key_env": text("Variable with the key."),
        "endpoint": text("Address of the provider."),
        "fallback": text("Who counts otherwise."),
        "settings": values("Further settings."),
    },
)
_ALLOCATION = mapping(
    "Shares of the tokens; together they make 1.",
    {
        "short_term": number("Of the latest messages.", 0, 1),
        "long_term": number("Of older ones.", 0, 1),
        "system": number("Of the system's.", 0, 1),
        "user_defined": {
            "description": "Further shares by name.",
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
        },
    },
)

MEMORY = mapping(
    "Lists of messages under keys, bounded in number, tokens and time.",
    {
        "id": needed_text("What tasks call it."),
        **resource("memory"),
        "description": text("What it is for, for people."),
        "version": text("Its version, for people."),
        "type": choice(
            "Which limit counts.",
            "message_count_based",
            "token_based",
            "buffer",
            default="message_count_based",
        ),
        "max_messages": whole("The most messages under a key.", 1, default=100),
        "max_tokens": whole("The most tokens under a key.", 1, default=2000),
        "flushing": _FLUSHING,
        "persistence": _PERSISTENCE,
        "privacy_policy": _PRIVACY,
        "default_key_template": template("The key where a task says none."),
        "locking": idle(_LOCKING),
        "token_provider": idle(_TOKENS),
        "max_context_ratio": idle(number("Share of a model's context.", 0, 1)),
        "token_allocation": idle(_ALLOCATION),
        **silent("author", "CWD", "file_path"),
    },
    "id",
)
