"""What each operation of a memory does and answers, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.language.model import Memory

from .conftest import MakeDesk
from .desk import Desk

pytestmark = pytest.mark.anyio

HELLO = {"role": "user", "content": "hello"}
HELLO_TOKENS = 6
WORLD = {"role": "assistant", "content": {"text": "wörld", "score": 1.5, "of": [None, True]}}


async def test_a_key_that_nobody_wrote_is_empty(desk: Desk) -> None:
    """It is no error to ask for it."""
    assert {"messages": [], "count": 0, "key": "k"} == await desk.do("read")
    nothing = {
        "key": "k",
        "message_count": 0,
        "token_count": 0,
        "actual_strategy": "simple_fifo",
    }
    assert nothing == await desk.do("stats")
    assert {"healthy": True, **nothing} == await desk.do("health")
    assert {"success": True, "key": "k"} == await desk.do("delete")


async def test_what_is_appended_is_read_in_order(desk: Desk) -> None:
    """A message, or a list of them; content may be any JSON."""
    first = await desk.do("append", payload=HELLO)
    assert {"success": True, "appended": 1, "total_count": 1, "key": "k"} == first
    second = await desk.do("append", payload=[WORLD, HELLO])
    assert {"success": True, "appended": 2, "total_count": 3, "key": "k"} == second

    found = await desk.do("read")
    assert {"messages": [HELLO, WORLD, HELLO], "count": 3, "key": "k"} == found
    assert [WORLD, HELLO] == (await desk.do("read", batch_size=2))["messages"]
    assert [] == (await desk.do("read", key="other"))["messages"]


async def test_write_takes_the_place_of_everything(desk: Desk) -> None:
    """What was there is gone; to write nothing leaves nothing."""
    await desk.do("append", payload=[HELLO, HELLO])
    assert {"success": True, "count": 1, "key": "k"} == await desk.do("write", payload=WORLD)
    assert [WORLD["content"]] == await desk.texts()
    assert 0 == (await desk.do("write", payload=[]))["count"]
    assert [] == await desk.texts()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("just text", ["just text"]),
        ({"name": "Ada"}, [{"name": "Ada"}]),
        (
            {"role": "user", "content": "a", "name": "b"},
            [{"role": "user", "content": "a", "name": "b"}],
        ),
        ([1, None, ["x"]], [1, None, ["x"]]),
        (None, [None]),
        ("\0 and \U0001f600", ["\0 and \U0001f600"]),
    ],
)
async def test_anything_else_is_what_a_user_said(
    desk: Desk, payload: Any, expected: list[Any]
) -> None:
    """What is no message becomes the content of one, unchanged."""
    await desk.do("append", payload=payload)
    found = (await desk.do("read"))["messages"]
    assert [{"role": "user", "content": content} for content in expected] == found


async def test_delete_removes_the_key(desk: Desk) -> None:
    """Other keys and other memories stay."""
    await desk.do("append", payload=HELLO)
    await desk.do("append", key="k2", payload=HELLO)
    assert {"success": True, "key": "k"} == await desk.do("delete")
    assert ([], ["hello"]) == (await desk.texts(), await desk.texts("k2"))


async def test_memories_share_no_keys(desk_of: MakeDesk) -> None:
    """The same key in two memories is two keys."""
    desk = desk_of(Memory(id="one"), Memory(id="two"), Memory(id="three", persistent=False))
    for name in ("one", "two", "three"):
        await desk.do("append", memory_ref=name, payload=name)
    for name in ("one", "two", "three"):
        assert [name] == await desk.texts(memory_ref=name)


async def test_statistics(desk: Desk) -> None:
    """Numbers always; roles and messages where they are asked for."""
    await desk.do("append", payload=[HELLO, {"role": "system", "content": "s"}, HELLO])
    tokens = 2 * HELLO_TOKENS + 5
    plain = await desk.do("stats")
    assert {
        "key": "k",
        "message_count": 3,
        "token_count": tokens,
        "actual_strategy": "simple_fifo",
        "avg_tokens_per_message": tokens / 3,
    } == plain
    full = await desk.do("stats", group_by="role", include_content=True, batch_size=1)
    groups = {
        "system": {"message_count": 1, "token_count": 5},
        "user": {"message_count": 2, "token_count": 2 * HELLO_TOKENS},
    }
    assert {**plain, "groups": groups, "messages": [HELLO]} == full


async def test_health(desk_of: MakeDesk) -> None:
    """A key is well when it can be read and written."""
    desk = desk_of(Memory(id="chat"))
    await desk.do("append", payload=HELLO)
    found = await desk.do("health", include_stats=True, check_connectivity=True)
    assert {
        "healthy": True,
        "key": "k",
        "message_count": 1,
        "token_count": HELLO_TOKENS,
        "actual_strategy": "simple_fifo",
        "current_tokens": HELLO_TOKENS,
    } == found


async def test_a_database_that_is_away_is_no_good_health(desk: Desk) -> None:
    """Health says what is wrong instead of failing; the others fail, and may be tried again."""
    desk.db.close()
    found = await desk.do("health")
    assert (False, "The database is closed.") == (found["healthy"], found["error"])
    failure = await desk.fail("append", payload=HELLO)
    assert ("UNAVAILABLE", True) == (failure.code, failure.retryable)
    assert [False] == [memory["healthy"] for memory in await desk.calls.survey()]


async def test_clear_wants_to_be_confirmed(desk: Desk) -> None:
    """Without it nothing goes; with it everything does."""
    await desk.do("append", payload=[HELLO, WORLD])
    failure = await desk.fail("clear")
    assert ("INVALID_INPUT", False) == (failure.code, failure.retryable)
    assert "confirm: true" in failure.message
    assert 2 == len(await desk.texts())
    cleared = await desk.do("clear", confirm=True)
    assert {
        "success": True,
        "key": "k",
        "messages_cleared": 2,
        "backup_created": False,
    } == cleared
    assert [] == await desk.texts()


async def test_clear_keeps_a_copy(desk: Desk) -> None:
    """The answer says where; a copy of nothing is not made."""
    await desk.do("append", payload=[HELLO, WORLD])
    cleared = await desk.do("clear", confirm=True, backup=True)
    assert (True, "k.backup.2023-11-14T22:13:20.000000Z") == (
        cleared["backup_created"],
        cleared["backup_key"],
    )
    assert [] == await desk.texts()
    assert [HELLO["content"], WORLD["content"]] == await desk.texts(cleared["backup_key"])
    assert 2 == (await desk.do("stats", key=cleared["backup_key"]))["message_count"]
    again = await desk.do("clear", confirm=True, backup=True)
    assert (0, False) == (again["messages_cleared"], again["backup_created"])

    await desk.do("append", key="x" * 250, payload=HELLO)
    failure = await desk.fail("clear", key="x" * 250, confirm=True, backup=True)
    assert "a key has 1 to 256 bytes" in failure.message
    assert ["hello"] == await desk.texts("x" * 250)


async def test_flush_waits_for_the_threshold(desk: Desk) -> None:
    """Below it nothing happens, unless it is forced; the newest half stays."""
    await desk.do("append", payload=["1", "2", "3"])
    calm = await desk.do("flush")
    assert {
        "success": True,
        "key": "k",
        "summary_generated": False,
        "message_count": 3,
        "token_count": 15,
        "actual_strategy": "simple_fifo",
    } == calm
    assert "last_flush" not in await desk.do("stats")

    await desk.do("append", payload="4")
    assert 2 == (await desk.do("flush"))["message_count"]
    assert ["3", "4"] == await desk.texts()
    assert "2023-11-14T22:13:20.000000Z" == (await desk.do("stats"))["last_flush"]
    assert 1 == (await desk.do("flush", force=True))["message_count"]
    assert 1 == (await desk.do("flush", force=True))["message_count"]
    assert ["4"] == await desk.texts()


async def test_flush_by_threshold_and_bound(desk: Desk) -> None:
    """`threshold` is that of this flush; `max_keys` bounds what it removes."""
    await desk.do("append", payload=["1", "2", "3", "4"])
    assert 3 == (await desk.do("flush", max_keys=1))["message_count"]
    assert 3 == (await desk.do("flush", threshold=0.9))["message_count"]
    assert 1 == (await desk.do("flush", threshold="0.1"))["message_count"]


async def test_a_rehearsed_flush_changes_nothing(desk: Desk) -> None:
    """It tells what would happen."""
    await desk.do("append", payload=["1", "2", "3"])
    found = await desk.do("flush", dry_run=True)
    assert (True, False, 3) == (found["dry_run"], found["would_flush"], found["message_count"])
    found = await desk.do("flush", dry_run=True, force=True)
    assert (True, True, 3) == (found["dry_run"], found["would_flush"], found["message_count"])
    assert ["1", "2", "3"] == await desk.texts()


async def test_without_a_model_nothing_is_summarised(desk_of: MakeDesk) -> None:
    """The strategy that was used is the one that is told."""
    desk = desk_of(Memory(id="chat", flushing="hybrid_summary"))
    await desk.do("append", payload=["1", "2"])
    found = await desk.do("flush", force=True)
    assert ("simple_fifo", False) == (found["actual_strategy"], found["summary_generated"])
    assert "simple_fifo" == (await desk.do("stats"))["actual_strategy"]
    assert "lru" == (await desk.do("flush", force=True, strategy="lru"))["actual_strategy"]


@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        ("read", {"memory_ref": "chatt"}, "There is no memory 'chatt'; there are chat; did you mean 'chat'?"),
        ("read", {"memory_ref": "zzz"}, "There is no memory 'zzz'; there are chat."),
        ("read", {"key": ""}, "The key is ''; a key has 1 to 256 bytes of printable text."),
        ("read", {"key": "a\nb"}, "The key is 'a\\nb'; a key has"),
        ("read", {"key": "ä" * 129}, "a key has 1 to 256 bytes"),
        ("read", {"key": None}, "Expected `str`, got `null` - at `$.key`"),
        ("read", {"colour": 1}, "unknown field `colour`"),
        ("flush", {"strategy": "newest"}, "Invalid enum value 'newest' - at `$.strategy`"),
        ("flush", {"threshold": 2}, "`float` <= 1.0 - at `$.threshold`"),
        ("flush", {"max_keys": 50_001}, "`int` <= 50000 - at `$.max_keys`"),
        ("stats", {"group_by": "day"}, "group_by is 'day'; messages can be grouped by role only."),
        ("append", {"payload": {"role": "a b", "content": ""}}, "payload[0].role is 'a b'; write a word"),
        ("append", {"payload": ["a", {"role": 7, "content": ""}]}, "payload[1].role is 7; write a word"),
        ("append", {"payload": "x" * 262_145}, "payload[0].content has 262,145 bytes; a message has at most 262,144."),
        ("append", {"payload": [0] * 10_001}, "The payload has 10,001 messages; write at most 10,000 at once."),
        ("append", {"payload": ["x" * 262_000] * 16}, "tokens; write at most 1,000,000 at once."),
    ],
)  # fmt: skip
async def test_bad_input_is_told_in_a_sentence(
    desk: Desk, operation: str, arguments: dict[str, Any], expected: str
) -> None:
    """It says what is wrong and what to do, it is not tried again, and nothing changed."""
    await desk.do("append", payload=HELLO)
    failure = await desk.fail(operation, **arguments)
    assert expected in failure.message
    assert failure.code in {"INVALID_INPUT", "NOT_FOUND"}
    assert not failure.retryable
    assert ["hello"] == await desk.texts()


async def test_a_project_without_memories_says_so(desk: Desk) -> None:
    """The sentence names where to declare one."""
    desk.calls.replace({})
    failure = await desk.fail("read")
    assert "the project declares none under `memories`" in failure.message


async def test_options_may_come_from_templates(desk: Desk) -> None:
    """A number as key is its text; text is taken for a flag or a number."""
    await desk.do("append", key=7, payload=["1", "2"])
    assert ["1", "2"] == await desk.texts("7")
    assert 1 == (await desk.do("flush", key=7, force="true", max_keys="1"))["message_count"]


async def test_keys_are_listed(desk: Desk) -> None:
    """Page by page, by key, with what is under them."""
    for key in ("b", "a", "c"):
        await desk.do("append", key=key, payload=HELLO)
    rows = await desk.calls.keys("chat", after="", limit=2)
    assert ["a", "b"] == [row["key"] for row in rows]
    assert [("c", 1, HELLO_TOKENS)] == [
        (row["key"], row["message_count"], row["token_count"])
        for row in await desk.calls.keys("chat", after="b", limit=2)
    ]


async def test_memories_are_surveyed(desk_of: MakeDesk) -> None:
    """Each memory of the project with what it holds, those in process too."""
    desk = desk_of(Memory(id="one"), Memory(id="two"), Memory(id="three", persistent=False))
    await desk.do("append", payload=[HELLO, HELLO])
    await desk.do("append", key="k2", payload=HELLO)
    await desk.do("append", memory_ref="three", payload=HELLO)
    held = {
        memory["memory_id"]: (memory["healthy"], memory["key_count"], memory["message_count"])
        for memory in await desk.calls.survey()
    }
    assert {"one": (True, 2, 3), "two": (True, 0, 0), "three": (True, 1, 1)} == held
    assert ["two"] == [memory["memory_id"] for memory in await desk.calls.survey("two")]


async def test_definitions_are_replaced(desk: Desk) -> None:
    """What is stored stays; the new limits count from the next write on."""
    await desk.do("append", payload=["1", "2", "3"])
    desk.calls.replace({"chat": Memory(id="chat", max_messages=2)})
    assert ["1", "2", "3"] == await desk.texts()
    await desk.do("append", payload="4")
    assert ["3", "4"] == await desk.texts()
