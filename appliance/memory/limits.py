"""Limits: how much may stand under one key of a memory, and what has to go when it is more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from appliance.language.model import Memory

MAX_MESSAGES = 10_000
"""Messages under one key, whatever the memory says."""
MAX_TOKENS = 1_000_000
"""Tokens under one key, whatever the memory says: about 4 MB of text."""
MAX_KEY_BYTES = 256


class Limits(NamedTuple):
    """The most messages and tokens under a key. Where *trims* is false, nothing goes by itself."""

    messages: int
    tokens: int
    by_tokens: bool
    trims: bool

    @classmethod
    def of(cls, memory: Memory) -> Limits:
        """Return the limits of a memory. Its type says which of its numbers counts."""
        by_tokens = memory.type == "token_based"
        by_number = memory.type == "message_count_based"
        return cls(
            min(memory.max_messages, MAX_MESSAGES) if by_number else MAX_MESSAGES,
            min(memory.max_tokens, MAX_TOKENS) if by_tokens else MAX_TOKENS,
            by_tokens,
            by_tokens or by_number,
        )

    def fit(self, messages: int, tokens: int) -> bool:
        """Whether so much may stand under a key. The newest message alone always may."""
        return messages <= 1 or (messages <= self.messages and tokens <= self.tokens)

    def excess(self, messages: int, tokens: int) -> int:
        """Return how many messages have to be looked at to find those that must go.

        A message weighs a token at least, so it takes no more of them than there are tokens over.
        """
        if self.fit(messages, tokens):
            return 0
        return min(messages - 1, max(messages - self.messages, tokens - self.tokens))

    def surplus(self, weights: Iterable[int], messages: int, tokens: int) -> int:
        """Return how many of the oldest must go; *weights* are the tokens of each, oldest first."""
        gone = 0
        for weight in weights:
            if self.fit(messages - gone, tokens):
                break
            gone += 1
            tokens -= weight
        return gone

    def fill(self, messages: int, tokens: int) -> float:
        """Return the share of the limits that is used."""
        return max(messages / self.messages, tokens / self.tokens)
