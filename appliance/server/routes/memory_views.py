"""The forms of JSON in which memories are written and shown. Tokens are estimates."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from appliance.memory.flushing import Strategy
from appliance.memory.limits import MAX_KEY_BYTES
from appliance.memory.messages import MAX_BATCH, ROLE
from appliance.memory.order import MAX_KEYS
from appliance.server.envelope import PageInfo
from appliance.server.views import Time

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_BYTES)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent; strict about fields."""


class NewMessage(Body, frozen=True):
    """What somebody said. `content` is text or any other JSON."""

    role: Annotated[str, msgspec.Meta(pattern=f"^{ROLE}$")]
    content: Any


class NewMessages(Body, frozen=True):
    """Messages to write under a key, oldest first."""

    key: Key
    messages: Annotated[list[NewMessage], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class KeyChoice(Body, frozen=True):
    """The key that is meant."""

    key: Key


class FlushWish(KeyChoice, frozen=True):
    """A flush. What is null is as the memory says; `force` flushes below the threshold, too."""

    force: bool = False
    dry_run: bool = False
    max_keys: Annotated[int, msgspec.Meta(ge=1, le=MAX_KEYS)] = MAX_KEYS
    strategy: Strategy | None = None
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class ClearWish(KeyChoice, frozen=True):
    """The end of every message under a key. `confirm` must be true; `backup` keeps a copy."""

    confirm: bool = False
    backup: bool = False


class MessageView(msgspec.Struct, frozen=True):
    """A message of a memory."""

    role: str
    content: Any


class ReadView(msgspec.Struct, frozen=True):
    """Messages under a key, oldest first; `total_count` is how many there are in all."""

    key: str
    messages: list[MessageView]
    count: int
    total_count: int


class WriteView(msgspec.Struct, frozen=True):
    """What is under a key now."""

    success: bool
    key: str
    count: int


class AppendView(msgspec.Struct, frozen=True):
    """How many messages were added, and how many there are now."""

    success: bool
    key: str
    appended: int
    total_count: int


class DeleteView(msgspec.Struct, frozen=True):
    """The key is gone."""

    success: bool
    key: str


class FlushView(msgspec.Struct, frozen=True):
    """What is left under a key. `would_flush` answers a dry run only."""

    success: bool
    key: str
    summary_generated: bool
    message_count: int
    token_count: int
    actual_strategy: Strategy
    dry_run: bool = False
    would_flush: bool | None = None


class ClearView(msgspec.Struct, frozen=True):
    """How many messages are gone. `backup_key` is where the copy is, if one was made."""

    success: bool
    key: str
    messages_cleared: int
    backup_created: bool
    backup_key: str | None = None


class MemoryHealthView(msgspec.Struct, frozen=True):
    """Whether a key can be read and written; `error` says why not."""

    key: str
    healthy: bool
    message_count: int | None = None
    token_count: int | None = None
    actual_strategy: Strategy | None = None
    last_flush: Time | None = None
    current_tokens: int | None = None
    error: str | None = None


class GroupView(msgspec.Struct, frozen=True):
    """What the messages of one role come to."""

    message_count: int
    token_count: int


class StatsView(msgspec.Struct, frozen=True):
    """A key in numbers; `groups` by role and `messages` only where they were asked for."""

    key: str
    message_count: int
    token_count: int
    actual_strategy: Strategy
    last_flush: Time | None = None
    avg_tokens_per_message: float | None = None
    groups: dict[str, GroupView] | None = None
    messages: list[MessageView] | None = None


class KeyEntry(msgspec.Struct, frozen=True):
    """A key of a memory."""

    key: str
    message_count: int
    token_count: int
    written_at: Time
    flushed_at: Time | None
    expires_at: Time | None


class MemoryKeyList(msgspec.Struct, frozen=True):
    """A page of keys of a memory, by key."""

    keys: list[KeyEntry]
    page: PageInfo


class MemoryView(msgspec.Struct, frozen=True):
    """Whether a memory can be read, and what all its keys hold together."""

    memory_id: str
    healthy: bool
    error: str | None
    key_count: int
    message_count: int
    token_count: int


class MemoriesView(msgspec.Struct, frozen=True):
    """Whether the memories of the project can be read."""

    healthy: bool
    total_instances: int
    healthy_instances: int
    unhealthy_instances: int
    last_checked: Time
    instance_health: dict[str, MemoryView]
