"""Messages: what a memory is made of, and what they weigh."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from appliance.errors import InvalidInput
from appliance.language.model import Json
from appliance.memory.redaction import Redaction

MAX_BATCH = 10_000
"""Messages that one operation writes."""
MAX_BYTES = 256 * 1024
"""Bytes of one message's content: UTF-8, as JSON where it is no text."""
DEFAULT_ROLE = "user"
BYTES_PER_TOKEN, TOKENS_PER_MESSAGE = 4, 4

ROLE = "[A-Za-z][A-Za-z0-9_-]{0,63}"
"""What a role looks like, as a regular expression."""
_IS_ROLE = re.compile(ROLE).fullmatch


class Message(msgspec.Struct, frozen=True):
    """What somebody said. `content` is text or any other JSON."""

    role: str
    content: Json


class Entry(msgspec.Struct, frozen=True):
    """A message as it is stored: `content` is JSON text; `tokens` is an estimate."""

    role: str
    content: str
    tokens: int


def messages_of(payload: Json) -> list[Message]:
    """Return the messages that *payload* is: one, or each item of a list.

    An object with exactly `role` and `content` is a message; anything else is what a user said.

    Raises: InvalidInput for a role that is none, and for more than `MAX_BATCH` messages.
    """
    items = payload if isinstance(payload, list) else [payload]
    if len(items) > MAX_BATCH:
        raise InvalidInput(
            f"The payload has {len(items):,} messages; write at most {MAX_BATCH:,} at once."
        )
    return [_message(item, place) for place, item in enumerate(items)]


def _message(item: Json, place: int) -> Message:
    if not isinstance(item, dict) or item.keys() != {"role", "content"}:
        return Message(DEFAULT_ROLE, item)
    role = item["role"]
    if not isinstance(role, str) or not _IS_ROLE(role):
        raise InvalidInput(
            f"payload[{place}].role is {_short(role)}; write a word of at most 64 letters, digits,"
            " - and _, such as user, assistant, system or tool."
        )
    return Message(role, item["content"])


def entry_of(message: Message, place: int, redaction: Redaction) -> Entry:
    """Return how a message is stored. Raises InvalidInput when it is too large for a memory."""
    text = redaction.apply(message.content)
    content = msgspec.json.encode(text)
    size = len(text.encode()) if isinstance(text, str) else len(content)
    if size > MAX_BYTES:
        raise InvalidInput(
            f"payload[{place}].content has {size:,} bytes; a message has at most {MAX_BYTES:,}."
        )
    return Entry(message.role, content.decode(), tokens_of(size))


def tokens_of(size: int) -> int:
    """Estimate the tokens of a message with *size* bytes: a token per four bytes, and four more.

    Models count differently, each in its own way. The estimate needs no model and never changes,
    so that what is stored today still fits tomorrow.
    """
    return TOKENS_PER_MESSAGE + -(-size // BYTES_PER_TOKEN)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
