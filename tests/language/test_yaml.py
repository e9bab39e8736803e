"""What YAML means in a project, and that nothing in a file can surprise, hang or crash."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.language import yaml
from appliance.language.problems import InvalidDocument


def message(text: str) -> str:
    with pytest.raises(InvalidDocument) as caught:
        yaml.load(text, "f.yaml")
    assert [caught.value.message] == caught.value.details["problems"]
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("1:20", "1:20"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("Null", None),
        ("", None),
        ("12", 12),
        ("012", 12),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("9223372036854775807", 9223372036854775807),
        ("'12'", "12"),
        ('"true"', "true"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}),
        ("true: a\n1: b\nno: c", {"true": "a", "1": "b", "no": "c"}),
        ("# only a comment", None),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, expected: Any) -> None:
    """`no`, `on` and `1:20` are text; only true, false, null and numbers are not. Keys are text."""
    data = yaml.load(text, "f").data

    assert expected == data
    assert type(expected) is type(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", "2:1: the key 'a' is there twice, first in line 1"),
        ("a: &x 1", "1:4: anchors are not supported; remove &x"),
        ("a: *x", "1:4: aliases are not supported; write out what *x stands for"),
        ("a: !!str 1", "1:4: tags are not supported; remove !!str"),
        ("a: !own 1", "1:4: tags are not supported; remove !own"),
        ("a:\n  <<: {b: 1}", "2:3: merge keys (<<) are not supported; write the fields out"),
        ("a: 1\n---\nb: 2", "2:1: a file holds one document; remove what follows '---'"),
        ("a: .nan", "1:4: .nan is not a number that JSON knows; quote it if it is text"),
        ("a: -.inf", "1:4: -.inf is not a number that JSON knows; quote it if it is text"),
        ("a: 1e999", "1:4: the number 1e999 is too large"),
        (
            "a: 9223372036854775808",
            "1:4: the number 9223372036854775808 does not fit 64 bits; quote it",
        ),
        (f"a: {'9' * 9000}", f"1:4: the number {'9' * 37}... does not fit 64 bits; quote it"),
        ("é: \0", "1:4: the character U+0000 is not allowed"),
        ("a: b\n\x1b", "2:1: the character U+001B is not allowed"),
        ("a: \ud800", "1:4: the character U+D800 is not allowed"),
        ('a: "\\0"', "1:4: text cannot hold the character U+0000"),
        ("[1]: x", "1:1: a key must be text"),
        ("? {a: b}\n: c", "1:3: a key must be text"),
        ("a: b: c", "1:5: not valid YAML: mapping values are not allowed in this context"),
        ("a: [1", "2:1: not valid YAML: did not find expected ',' or ']'"),
        (" " * 10_485_761, " the file is larger than 10485760 bytes"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_place(text: str, expected: str) -> None:
    """A document means what it shows: no anchors, tags, merges, duplicates, or what JSON lacks."""
    assert f"f.yaml:{expected}" == message(text)


@pytest.mark.parametrize("text", ["[" * 3000, "{a: " * 3000, "- " * 3000])
def test_depth_is_refused_before_it_costs_anything(text: str) -> None:
    """Three kilobytes of brackets are refused in milliseconds, without recursion."""
    yaml.load("a: 1", "warm")
    began = time.perf_counter()

    assert "values are nested more than 100 deep" in message(text)
    assert time.perf_counter() - began < 0.5


def test_a_hundred_levels_are_enough_for_anybody() -> None:
    """The limit itself can be reached."""
    yaml.load("[" * 100 + "]" * 100, "f")
    assert message("[" * 101).startswith("f.yaml:1:101: values are nested")


def test_the_number_of_values_is_limited() -> None:
    """A file cannot fill the memory with millions of tiny values."""
    text = "[" + "1," * yaml.MAX_VALUES + "]"
    assert "the document has more than 200000 values" in message(text)


def test_a_file_that_is_not_utf_8_is_refused_with_its_place(tmp_path: Path) -> None:
    """Bytes are decoded strictly; UTF-16 and Latin-1 are not guessed."""
    (tmp_path / "f").write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(InvalidDocument) as caught:
        yaml.read(tmp_path / "f", "f")
    expected = "f:2:4: this byte is not UTF-8 text; save the file as UTF-8"
    assert expected == caught.value.message


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """What some editors write first does not become part of the first key."""
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert {"a": 1} == yaml.read(tmp_path / "f", "f").data


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """A missing file is a sentence, not an OSError."""
    with pytest.raises(InvalidDocument, match=r"^f: cannot be read: No such file or directory$"):
        yaml.read(tmp_path / "f", "f")


def test_marks_lead_to_keys_and_items() -> None:
    """The mark of a field is its key; that of what is not there is its container."""
    document = yaml.load("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", "f")

    assert (1, 1) == document.mark(("a",))
    assert (2, 3) == document.mark(("a", "b"))
    assert (5, 7) == document.mark(("a", "c", 1))
    assert (5, 8) == document.mark(("a", "c", 1, "d"))
    assert (2, 3) == document.mark(("a", "nowhere"))


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ("k: plain", 1, 3, (1, 6)),
        ("k: 'quoted'", 1, 3, (1, 7)),
        ('k: "quoted"', 1, 3, (1, 7)),
        ('k: "a\\tb c"', 1, 4, (1, 4)),
        ("k: |\n    one\n    two", 2, 3, (3, 7)),
        ("k: >\n  folded\n  text", 1, 9, (1, 4)),
        ("k: plain over\n  two lines", 1, 12, (1, 4)),
    ],
)
def test_a_place_inside_of_a_text_is_found_in_the_file(
    text: str, line: int, column: int, expected: tuple[int, int]
) -> None:
    """Errors in templates point into the file where the text stands as it is."""
    assert expected == yaml.load(text, "f").position(("k",), line, column)


_PIECES = st.sampled_from(
    [
        "a: ",
        "- ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        '"',
        "|",
        ">",
        "&x",
        "*x",
        "!!t ",
        "? ",
        "#",
        "---",
        "...",
        "%YAML",
        "<<: ",
        "1",
        "é",
        "\t",
        "\x00",
        "\ufeff",
        "\x85",
        ".nan",
        "\\x",
    ]
)


@given(st.text() | st.lists(_PIECES, max_size=60).map("".join))
def test_any_text_loads_or_is_an_invalid_document(text: str) -> None:
    """Whatever a file holds, the answer is data or one sentence with a place."""
    document = yaml.load("", "f")
    with contextlib.suppress(InvalidDocument):
        document = yaml.load(text, "f")
    assert (1, 1) <= document.mark(())


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_json_reads_as_itself(value: Any) -> None:
    """JSON is YAML: what JSON says comes back the same."""
    import json

    assert value == yaml.load(json.dumps(value, ensure_ascii=False), "f").data
