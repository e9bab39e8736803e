"""Orders: what a memory is asked to do, by a task or over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.errors import InvalidInput
from appliance.language.model import Json
from appliance.memory.flushing import Strategy
from appliance.memory.limits import MAX_KEY_BYTES, MAX_MESSAGES

Operation = Literal["read", "write", "append", "delete", "flush", "health", "clear", "stats"]

MAX_KEYS = 50_000
"""Messages that one flush removes."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of a memory, a payload where something is written, and options of the operation."""

    memory_ref: str
    key: str
    payload: Json = None
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_MESSAGES)] | None = None
    max_keys: Annotated[int, msgspec.Meta(ge=1, le=MAX_KEYS)] = MAX_KEYS
    strategy: Strategy | None = None
    dry_run: bool = False
    force: bool = False
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    confirm: bool = False
    backup: bool = False
    include_stats: bool = False
    check_connectivity: bool = False
    include_content: bool = False
    group_by: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_MESSAGES)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0

    def part(self, count: int) -> tuple[int, int]:
        """Return limit and offset of the messages that are wanted of *count*, oldest first.

        Without `limit` it is all of them, or the newest `batch_size`.
        """
        if self.limit is not None:
            return self.limit, self.offset
        size = self.batch_size or MAX_MESSAGES
        return size, max(0, count - size)


def order_of(arguments: bytes) -> Order:
    """Return the order that a task gives as JSON. Raises InvalidInput naming the field.

    What templates made may be text where a number is meant, and a number where the key is.
    """
    given = msgspec.json.decode(arguments, type=dict[str, Json])
    key = given.get("key")
    if isinstance(key, int | float) and not isinstance(key, bool):
        given["key"] = str(key)
    try:
        return msgspec.convert(given, Order, strict=False)
    except msgspec.ValidationError as problem:
        raise InvalidInput(f"The memory task is not valid: {problem}.") from problem


def check_key(key: str) -> None:
    """Raise InvalidInput unless *key* may name messages."""
    if not key or not key.isprintable() or len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise InvalidInput(
            f"The key is {key[:40]!r}; a key has 1 to {MAX_KEY_BYTES} bytes of printable text."
        )
