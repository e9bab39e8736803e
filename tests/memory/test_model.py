"""Random operations against a memory and against a few lists in Python: both say the same."""

from __future__ import annotations

import asyncio
import math
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.language.model import Memory
from appliance.store.database import Database

from .desk import Desk

TTL = 100
KEYS = st.sampled_from(["a", "b"])
TEXTS = st.lists(st.text("xyz", max_size=40), max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["append", "write"]), KEYS, TEXTS),
        st.tuples(st.sampled_from(["delete", "clear", "flush", "again"]), KEYS, st.just(None)),
        st.tuples(st.just("wait"), KEYS, st.sampled_from([1, 60, TTL])),
    ),
    max_size=20,
)
MEMORIES = st.builds(
    Memory,
    id=st.just("m"),
    type=st.sampled_from(["token_based", "message_count_based", "buffer"]),
    max_messages=st.integers(1, 8),
    max_tokens=st.integers(4, 80),
    ttl=st.sampled_from([None, TTL]),
    persistent=st.booleans(),
)


def tokens(text: str) -> int:
    return 4 + math.ceil(len(text) / 4)


class Model:
    """What a memory is, said as shortly as can be."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.lists: dict[str, list[str]] = {}
        self.written: dict[str, float] = {}
        self.now = 0.0

    def at(self, key: str) -> list[str]:
        ttl = self.memory.ttl
        if ttl is not None and self.written.get(key, 0.0) + ttl <= self.now:
            self.lists[key] = []
        return self.lists.setdefault(key, [])

    def put(self, key: str, texts: list[str], added: bool) -> None:
        if added:
            self.written[key] = self.now
        while len(texts) > 1 and self.over(texts):
            del texts[0]
        self.lists[key] = texts

    def over(self, texts: list[str]) -> bool:
        if self.memory.type == "token_based":
            return sum(map(tokens, texts)) > self.memory.max_tokens
        return self.memory.type == "message_count_based" and len(texts) > self.memory.max_messages

    def flush(self, key: str) -> None:
        by_tokens = self.memory.type == "token_based"

        def size(texts: list[str]) -> int:
            return sum(map(tokens, texts)) if by_tokens else len(texts)

        texts = list(self.at(key))
        there = size(texts)
        while len(texts) > 1 and 2 * size(texts) > there:
            del texts[0]
        self.lists[key] = texts


async def play(desk: Desk, model: Model, steps: list[tuple[str, str, Any]]) -> None:
    names = {key: f"{uuid4()}" for key in ("a", "b")}
    run, last = f"{uuid4()}", 0
    for number, (operation, key, what) in enumerate(steps, 1):
        task = f"{run}.{number}"
        match operation:
            case "append":
                model.put(key, model.at(key) + what, bool(what))
                await desk.do("append", key=names[key], payload=what, task=task)
                last = number
            case "write":
                model.put(key, list(what), bool(what))
                await desk.do("write", key=names[key], payload=what, task=task)
                last = number
            case "delete":
                model.lists[key] = []
                await desk.do("delete", key=names[key], task=task)
                last = number
            case "clear":
                expected = len(model.at(key))
                model.lists[key] = []
                answer = await desk.do("clear", key=names[key], confirm=True, task=task)
                assert expected == answer["messages_cleared"]
                last = number
            case "flush":
                model.flush(key)
                await desk.do("flush", key=names[key], force=True, task=task)
                last = number
            case "again" if last:
                again = {"payload": "again", "confirm": True, "task": f"{run}.{last}"}
                await desk.do("append", key=names[key], **again)
            case "wait":
                model.now += what
                desk.time.pass_by(what)
        for each, name in names.items():
            expected_texts = model.at(each)
            assert expected_texts == await desk.texts(name)
            stats = await desk.do("stats", key=name)
            assert len(expected_texts) == stats["message_count"]
            assert sum(map(tokens, expected_texts)) == stats["token_count"]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(memory=MEMORIES, steps=STEPS)
def test_a_memory_is_what_the_model_says(
    db: Database, memory: Memory, steps: list[tuple[str, str, Any]]
) -> None:
    """After every step each key has the messages of the model, and counts that fit them."""
    desk = Desk(db, memory)
    try:
        asyncio.run(play(desk, Model(memory), steps))
    finally:
        desk.calls.close()
