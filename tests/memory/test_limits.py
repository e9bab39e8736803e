"""What a key may hold, and what goes when there is more."""

from __future__ import annotations

import asyncio
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.language.model import Memory
from appliance.memory import flushing
from appliance.memory.flushing import Strategy, Weight
from appliance.memory.limits import MAX_MESSAGES, MAX_TOKENS, Limits

from .conftest import MakeDesk

pytestmark = pytest.mark.anyio


async def test_by_number_the_oldest_go(desk_of: MakeDesk) -> None:
    """Also when more than all comes at once."""
    desk = desk_of(Memory(id="chat", max_messages=3))
    answer = await desk.do("append", payload=["1", "2", "3", "4"])
    assert (4, 3) == (answer["appended"], answer["total_count"])
    await desk.do("append", payload="5")
    assert ["3", "4", "5"] == await desk.texts()
    await desk.do("append", payload=[str(number) for number in range(10, 20)])
    assert ["17", "18", "19"] == await desk.texts()
    assert 3 == (await desk.do("stats"))["message_count"]


async def test_by_tokens_the_oldest_go(desk_of: MakeDesk) -> None:
    """Four bytes are a token, and each message costs four more; the newest always stays."""
    desk = desk_of(Memory(id="chat", type="token_based", max_tokens=20, max_messages=2))
    await desk.do("append", payload=["aaaa", "bbbb", "cccc", "dddd"])
    assert (["aaaa", "bbbb", "cccc", "dddd"], 20) == (
        await desk.texts(),
        (await desk.do("stats"))["token_count"],
    )
    await desk.do("append", payload="eeeee")  # six tokens: two of the others must go
    assert ["cccc", "dddd", "eeeee"] == await desk.texts()
    assert 16 == (await desk.do("stats"))["token_count"]
    await desk.do("append", payload=["f", "x" * 400])
    assert ["x" * 400] == await desk.texts()
    await desk.do("append", payload="g")
    assert ["g"] == await desk.texts()


async def test_a_buffer_refuses_what_does_not_fit(desk_of: MakeDesk) -> None:
    """Nothing goes by itself, and nothing of a message that was refused is kept."""
    desk = desk_of(Memory(id="chat", type="buffer", max_messages=1, max_tokens=1))
    await desk.do("append", payload=[0] * (MAX_MESSAGES - 1))
    assert MAX_MESSAGES - 1 == (await desk.do("read"))["count"]
    failure = await desk.fail("append", payload=[1, 2])
    assert ("CONFLICT", False) == (failure.code, failure.retryable)
    assert "'chat' would have 10,001 messages" in failure.message
    assert "Flush or clear it." in failure.message
    await desk.do("append", payload=1)
    assert not (await desk.do("health"))["healthy"]
    flushed = await desk.do("flush")
    assert MAX_MESSAGES / 2 == flushed["message_count"]
    assert (await desk.do("health"))["healthy"]


async def test_many_write_at_once(desk_of: MakeDesk) -> None:
    """Nothing is lost, and who writes one after the other is read in that order."""
    desk = desk_of(Memory(id="chat", type="buffer"))

    async def talk(who: int) -> None:
        for number in range(20):
            await desk.do("append", payload=f"{who}:{number}")

    await asyncio.gather(*(talk(who) for who in range(10)))
    found = await desk.texts()
    assert 200 == len(found)
    for who in range(10):
        assert [f"{who}:{number}" for number in range(20)] == [
            text for text in found if text.startswith(f"{who}:")
        ]


@pytest.mark.parametrize("strategy", ["simple_fifo", "lru"])
def test_the_oldest_half_goes(strategy: Strategy) -> None:
    """Half by number, or by tokens where those count."""
    messages = [Weight(place, tokens) for place, tokens in enumerate([50, 10, 10, 10, 10], 1)]
    by_number = flushing.chosen(strategy, messages, by_tokens=False, most=9)
    assert [1, 2, 3] == [message.position for message in by_number]
    by_tokens = flushing.chosen(strategy, messages, by_tokens=True, most=9)
    assert [1] == [message.position for message in by_tokens]


def test_the_largest_of_the_older_half_go_first() -> None:
    """`token_aware_lru` makes most room with the fewest messages, and spares the recent ones."""
    messages = [Weight(place, tokens) for place, tokens in enumerate([5, 30, 10, 90, 40, 5], 1)]
    gone = flushing.chosen("token_aware_lru", messages, by_tokens=False, most=9)
    assert [2, 3, 1, 4] == [message.position for message in gone]


async def test_a_flush_in_the_middle_keeps_order(desk_of: MakeDesk) -> None:
    """What is left is read in the order it came, and more can follow."""
    desk = desk_of(Memory(id="chat", flushing="token_aware_lru"))
    await desk.do("append", payload=["a", "b" * 100, "c", "d", "e"])
    await desk.do("flush", force=True)
    await desk.do("append", payload="f")
    assert ["a", "c", "d", "e", "f"] == await desk.texts()


@given(
    st.sampled_from(["simple_fifo", "lru", "token_aware_lru"]),
    st.lists(st.integers(4, 100), max_size=12),
    st.booleans(),
    st.integers(1, 12),
)
def test_a_flush_leaves_half_and_never_nothing(
    strategy: Strategy, tokens: list[int], by_tokens: bool, most: int
) -> None:
    """No more goes than must, each message once, and never the newest."""
    messages = [Weight(place, weight) for place, weight in enumerate(tokens)]
    gone = flushing.chosen(strategy, messages, by_tokens=by_tokens, most=most)
    by_tokens = by_tokens or strategy == "token_aware_lru"

    def measure(some: list[Weight]) -> int:
        return sum(message.tokens for message in some) if by_tokens else len(some)

    assert len(set(gone)) == len(gone) <= most
    assert set(gone) <= set(messages[:-1])
    left = measure(messages) - measure(gone)
    if len(gone) < min(most, len(messages) - 1):
        assert 2 * left <= measure(messages)
    if gone:
        assert 2 * (left + measure(gone[-1:])) > measure(messages)


@given(
    st.lists(st.integers(4, 50), min_size=1, max_size=30),
    st.integers(1, 20),
    st.integers(1, 300),
)
def test_what_goes_is_the_fewest_that_make_it_fit(
    tokens: list[int], most_messages: int, most_tokens: int
) -> None:
    """And to know which, no more than `excess` of the oldest have to be looked at."""
    limits = Limits(most_messages, most_tokens, by_tokens=False, trims=True)
    count, total = len(tokens), sum(tokens)
    looked_at = tokens[: limits.excess(count, total)]
    gone = limits.surplus(looked_at, count, total)
    assert limits.fit(count - gone, total - sum(tokens[:gone]))
    if gone:
        assert not limits.fit(count - gone + 1, total - sum(tokens[: gone - 1]))


def test_no_memory_is_without_a_bound() -> None:
    """Whatever the project says, and the number that does not count is not looked at."""

    def bounds(most: int) -> list[tuple[int, int]]:
        kinds = get_args(get_type_hints(Memory)["type"])
        found = [Memory(id="m", type=kind, max_messages=most, max_tokens=most) for kind in kinds]
        return [Limits.of(memory)[:2] for memory in found]

    assert 3 * [(MAX_MESSAGES, MAX_TOKENS)] == bounds(10**9)
    assert [(MAX_MESSAGES, 1), (1, MAX_TOKENS), (MAX_MESSAGES, MAX_TOKENS)] == bounds(1)
