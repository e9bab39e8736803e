"""What must not be stored is not: neither shown again, nor in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import DatabaseSettings
from appliance.errors import InvalidInput
from appliance.language.model import Memory
from appliance.memory.redaction import Redaction
from appliance.store import open_database

from .conftest import MakeDesk
from .desk import Desk

pytestmark = pytest.mark.anyio

CARD, MAIL = "4929-1234-5678-9012", "ada@example.com"
PRIVATE = Memory(
    id="chat",
    redact_patterns=(r"\b\d{4}-\d{4}-\d{4}-\d{4}\b", r"(?i)[a-z.]+@[a-z.]+", r"\d{9,}"),
    redaction="***",
    unpersisted_roles=("system", "tool"),
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"my card is {CARD}, mail {MAIL}!", "my card is ***, mail ***!"),
        ({MAIL: [CARD, {"deep": f"x {CARD}"}]}, {"***": ["***", {"deep": "x ***"}]}),
        ([4929123456789012, 12345678, -123456789.5, True, None], ["***", 12345678, "-***.5", True, None]),
        ("nothing here", "nothing here"),
    ],
)  # fmt: skip
async def test_what_matches_is_replaced(desk_of: MakeDesk, content: Any, expected: Any) -> None:
    """In texts, names and numbers, however deep, by every pattern."""
    desk = desk_of(PRIVATE)
    await desk.do("append", payload={"role": "user", "content": content})
    await desk.do("write", key="k2", payload={"role": "user", "content": content})
    assert ([expected], [expected]) == (await desk.texts(), await desk.texts("k2"))


async def test_a_secret_is_nowhere_in_the_file(sqlite_settings: DatabaseSettings) -> None:
    """Not in the database and not in its log, neither by append nor by write nor in a copy."""
    db = open_database(sqlite_settings)
    desk = Desk(db, PRIVATE)
    for operation in ("append", "write"):
        payload = [f"card {CARD}", {"role": "system", "content": "PLANTED"}, "kept"]
        await desk.do(operation, payload=payload)
    await desk.do("clear", confirm=True, backup=True)

    def stored() -> bytes:
        directory = Path(sqlite_settings.path).parent
        return b"".join(file.read_bytes() for file in directory.glob("app.db*"))

    for _ in range(2):
        assert b"kept" in stored()
        assert (False, False) == (CARD.encode() in stored(), b"PLANTED" in stored())
        db.close()


async def test_roles_that_are_not_kept(desk_of: MakeDesk) -> None:
    """They are left out and not counted."""
    desk = desk_of(PRIVATE)
    payload = [{"role": role, "content": role} for role in ("system", "user", "tool")]
    answer = await desk.do("append", payload=payload)
    assert (1, 1) == (answer["appended"], answer["total_count"])
    assert 0 == (await desk.do("append", payload=payload[0]))["appended"]
    assert ["user"] == await desk.texts()


async def test_what_cannot_be_searched_is_not_stored(desk_of: MakeDesk) -> None:
    """A search takes bounded time; a text that would need more is refused, not let through."""
    desk = desk_of(Memory(id="chat", redact_patterns=("(a|aa)*b|a",)))
    failure = await desk.fail("append", payload="a" * 30_000)
    assert "too long to be searched" in failure.message
    assert [] == await desk.texts()


def test_a_pattern_that_is_none() -> None:
    """It is told with the memory it stands in, before anything is written."""
    with pytest.raises(InvalidInput, match="memory 'm' cannot be used: the pattern has a \\("):
        Redaction.of(Memory(id="m", redact_patterns=("(",)))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab1-"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab1-"), inner, max_size=4),
    max_leaves=12,
)


@given(json)
def test_no_match_is_left(value: Any) -> None:
    """Nothing that matches is anywhere in what comes out."""
    redaction = Redaction.of(Memory(id="m", redact_patterns=("1+",), redaction="#"))
    hidden = redaction.apply(value)
    assert "1" not in repr(hidden).replace("'", "")
    assert redaction.apply(hidden) == hidden
