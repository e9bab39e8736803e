"""Flushing: making room under a key, by one of several strategies.

A flush removes messages until at most half of what was there remains: half of the tokens where
tokens are counted, else half of the messages. The newest message always stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Strategy = Literal["simple_fifo", "lru", "token_aware_lru", "hybrid_summary"]


class Weight(NamedTuple):
    """A message by its place; smaller is older."""

    position: int
    tokens: int


def actual(strategy: Strategy) -> Strategy:
    """Return the strategy that is used: without a language model nothing can be summarised."""
    return "simple_fifo" if strategy == "hybrid_summary" else strategy


def chosen(
    strategy: Strategy, messages: Sequence[Weight], *, by_tokens: bool, most: int
) -> list[Weight]:
    """Return the messages to remove, at most *most* of *messages*, which are oldest first.

    Nobody uses a message by itself, only the list as a whole, so the one that was used least
    recently is the oldest: `lru` takes the oldest first, as `simple_fifo` does. `token_aware_lru`
    takes the largest of the older half first, and counts tokens whatever the memory counts.
    """
    older = list(messages[:-1])
    if strategy == "token_aware_lru":
        half = len(messages) // 2
        older[:half] = sorted(older[:half], key=lambda message: -message.tokens)
        by_tokens = True
    there = left = sum(message.tokens for message in messages) if by_tokens else len(messages)
    gone: list[Weight] = []
    for message in older[:most]:
        if 2 * left <= there:
            break
        left -= message.tokens if by_tokens else 1
        gone.append(message)
    return gone
