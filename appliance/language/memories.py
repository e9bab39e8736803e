"""Memories as files declare them: lists of messages, with limits, a life time and what is hidden."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from appliance.language.memory_calls import STRATEGIES
from appliance.language.model import Memory
from appliance.language.references import TASK, Reader
from appliance.language.sections import Section
from appliance.language.shapes import (
    Shape,
    choice,
    mapping,
    number,
    read_shape,
    whole,
    without_effect,
)

_TYPES = ("message_count_based", "token_based", "buffer")
_PLACES = ("redis", "database", "in_memory")
"""Where messages are kept: the first two both mean the database."""
_KEY_VARIABLES = TASK - {"tasks", "parent", "current", "task", "children", "progress", "error"}

_FLUSHING: Shape = {
    "type": choice(*STRATEGIES),
    "summarize_threshold": number(0, 1),
    "summary_tokens": whole(1),
    "summarize_oldest_percent": number(0, 100),
}
_BREAKER: Shape = {
    "enabled": Section.flag,
    "timeout": Section.seconds,
    "max_failures": whole(0),
    "reset_timeout": Section.seconds,
}
_PERSISTENCE: Shape = {
    "type": choice(*_PLACES),
    "ttl": Section.seconds,
    "circuit_breaker": mapping(_BREAKER),
}
_PRIVACY: Shape = {
    "redact_patterns": Section.texts,
    "non_persistable_message_types": Section.texts,
    "default_redaction_string": Section.text,
}
_IDLE: dict[str, Shape] = {
    "locking": {f"{name}_ttl": Section.seconds for name in ("append", "clear", "flush")},
    "token_provider": {
        "provider": Section.text,
        "model": Section.text,
        "api_key": Section.text,
        "api_key_env": Section.text,
        "endpoint": Section.text,
        "fallback": Section.text,
        "settings": Section.values,
    },
}
"""What is checked and changes nothing here: nobody else writes, and no model counts."""


def read_memories(sections: Iterable[Section]) -> dict[str, Memory]:
    """Read the memories of a project, each with its `id`."""
    found: dict[str, Memory] = {}
    for section in sections:
        memory = _read(section)
        if memory.id in found:
            section.error(f"the memory {memory.id!r} is there twice", "id")
        found.setdefault(memory.id, memory)
    return found


def _read(section: Section) -> Memory:
    fields = _limits(section) | _flushing(section) | _persistence(section) | _privacy(section)
    Reader(()).check_value(section, "default_key_template", _KEY_VARIABLES)
    memory = Memory(
        id=section.needed_text("id"),
        description=section.text("description"),
        version=section.text("version"),
        default_key_template=section.text("default_key_template"),
        **fields,
    )
    _check_idle(section)
    section.finish(("author", "CWD", "file_path", "resource"))
    return memory


def _limits(section: Section) -> dict[str, Any]:
    return {
        "type": section.choice("type", _TYPES, _TYPES[0]),
        "max_tokens": section.whole("max_tokens", 1, 2000),
        "max_messages": section.whole("max_messages", 1, 100),
    }


def _flushing(section: Section) -> dict[str, Any]:
    inner = section.section("flushing")
    found = read_shape(inner, _FLUSHING)
    if inner is not None and found.get("type") == "hybrid_summary":
        inner.warn("hybrid_summary needs a language model; without one simple_fifo is used", "type")
    if inner is not None:
        without_effect(inner, ("summary_tokens", "summarize_oldest_percent"))
    names = {"type": "flushing", "summarize_threshold": "flush_threshold"}
    return {names[key]: value for key, value in found.items() if key in names}


def _persistence(section: Section) -> dict[str, Any]:
    inner = section.section("persistence")
    if inner is None:
        return {}
    found = read_shape(inner, _PERSISTENCE)
    without_effect(inner, ("circuit_breaker",), ": the memory is in the database of the server")
    kind = found.get("type", _PLACES[0])
    if not inner.has("ttl") and kind == "redis":
        inner.error("'ttl' is missing, how long messages are kept after the last one", "type")
    if found.get("ttl") == 0:
        inner.error("ttl must be longer than 0", "ttl")
    return {"persistent": kind != "in_memory", "ttl": found.get("ttl")}


def _privacy(section: Section) -> dict[str, Any]:
    inner = section.section("privacy_policy")
    found = read_shape(inner, _PRIVACY)
    if inner is not None:
        for index, pattern in enumerate(found.get("redact_patterns", ())):
            _check_pattern(inner, index, pattern)
    names = {
        "redact_patterns": "redact_patterns",
        "non_persistable_message_types": "unpersisted_roles",
        "default_redaction_string": "redaction",
    }
    return {names[key]: value for key, value in found.items()}


def _check_pattern(section: Section, index: int, pattern: str) -> None:
    from appliance.language.template.errors import Fault
    from appliance.language.template.pattern import compile_pattern

    try:
        compile_pattern(pattern)
    except Fault as fault:
        message = f"the pattern {pattern[:40]!r} is not valid: {fault.message}"
        section.error(message, "redact_patterns", index)


def _check_idle(section: Section) -> None:
    for key, shape in _IDLE.items():
        read_shape(section.section(key), shape)
    section.number("max_context_ratio", 0, 0, 1)
    if section.has("max_context_ratio") and not section.has("token_provider"):
        section.error("max_context_ratio needs 'token_provider'", "max_context_ratio")
    _check_allocation(section.section("token_allocation"))
    without_effect(section, ("max_context_ratio", "token_allocation", *_IDLE), " on a memory here")


def _check_allocation(section: Section | None) -> None:
    """Check the shares of a `token_allocation`: together they are everything."""
    if section is None:
        return
    own = {key: section.number(key, 0, 0, 1) for key in ("short_term", "long_term", "system")}
    users = section.section("user_defined")
    shares = [*own.values()]
    if users is not None:
        shares += [users.number(key, 0, 0, 1) for key in users.keys]
    if abs(sum(shares) - 1) > 1e-6:
        section.error(f"the shares must make 1 together, not {sum(shares):g}")
    section.finish(())
