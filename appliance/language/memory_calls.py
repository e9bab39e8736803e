"""What a task of type memory does: an operation, a memory, a key and the operation's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.language.model import Json, Memory, MemoryCall
from appliance.language.sections import Section
from appliance.language.shapes import Shape, choice, number, read_shape, whole, without_effect
from appliance.language.suggestions import hint

MAX_KEYS, MAX_BATCH = 50_000, 10_000
OPERATIONS = ("read", "write", "append", "delete", "flush", "health", "clear", "stats")
STRATEGIES = ("simple_fifo", "lru", "token_aware_lru", "hybrid_summary")
"""Ways to flush a memory."""

_CONFIG: dict[str, Shape] = {
    "flush": {
        "strategy": choice(*STRATEGIES),
        "max_keys": whole(1, MAX_KEYS),
        "dry_run": Section.flag,
        "force": Section.flag,
        "threshold": number(0, 1),
    },
    "health": {"include_stats": Section.flag, "check_connectivity": Section.flag},
    "stats": {"include_content": Section.flag, "group_by": choice("role")},
    "clear": {"confirm": Section.flag, "backup": Section.flag},
}
"""Options of an operation, written in `<operation>_config`."""
_LIMITS: Shape = {"max_keys": whole(1, MAX_KEYS), "batch_size": whole(1, MAX_BATCH)}
MEMORY_KEYS = (
    *("operation", "memory_ref", "key_template", "payload"),
    *(f"{operation}_config" for operation in _CONFIG),
    *_LIMITS,
)


def read_memory_call(section: Section, memories: Mapping[str, Memory]) -> dict[str, Any]:
    """Read the fields of a memory task; it names one of *memories*."""
    section.needed_text("operation")
    operation: Any = section.choice("operation", OPERATIONS, "read")
    name = section.needed_text("memory_ref")
    memory = memories.get(name)
    if name and memory is None:
        message = f"there is no memory {name!r}{hint(name, memories)}"
        section.error(message if memories else f"{message}; declare it in 'memories'", "memory_ref")
    key = section.text("key_template") or (memory.default_key_template if memory else "")
    if not key and (memory or not name):
        section.error("'key_template' is missing, and the memory has no 'default_key_template'")
    payload = _payload(section, operation)
    options = _options(section, operation)
    if operation == "clear" and not options.get("confirm"):
        section.error("clear needs 'clear_config: { confirm: true }'", "operation")
    return {"memory": MemoryCall(operation, name, key, payload, options)}


def _payload(section: Section, operation: str) -> Json:
    if operation in ("write", "append") and not section.has("payload"):
        section.error(f"{operation} needs 'payload', what to keep", "operation")
    return section.value("payload")


def _options(section: Section, operation: str) -> dict[str, Json]:
    """Return the options of *operation*, those of its own `..._config` on top."""
    found = {key: field(section, key) for key, field in _LIMITS.items() if section.has(key)}
    for owner, shape in _CONFIG.items():
        options = read_shape(section.section(f"{owner}_config"), shape)
        found |= options if owner == operation else {}
    others = (f"{owner}_config" for owner in _CONFIG if owner != operation)
    without_effect(section, others, f" on the operation {operation}")
    return found
