"""Regular expressions: RE2 syntax, Go's matches, and never more than linear work."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.language.template import Environment
from appliance.language.template.errors import Fault
from appliance.language.template.limits import Run
from appliance.language.template.pattern import compile_pattern


def find_all(pattern: str, text: str) -> list[str]:
    run = Run(Environment(0, "0"), {}, 1)
    return [text[m[0] : m[1]] for m in compile_pattern(pattern).matches(text, run)]


FOUND = {
    # pattern -> (text, every match)
    r"abc": ("xabcabc", ["abc", "abc"]),
    r"a|ab": ("ab", ["a"]),
    r"ab|a": ("ab", ["ab"]),
    r"a.c": ("abc a\nc", ["abc"]),
    r"(?s)a.c": ("abc a\nc", ["abc", "a\nc"]),
    r"^a": ("aa\na", ["a"]),
    r"(?m)^a$": ("a\na", ["a", "a"]),
    r"a$": ("a\na", ["a"]),
    r"\Aa\z": ("a", ["a"]),
    r"(?i)äB": ("ÄbäB", ["Äb", "äB"]),
    r"a(?i:b)c": ("aBc aBC", ["aBc"]),
    r"(?i)a(?-i)b": ("Ab AB", ["Ab"]),
    r"\bfoo\b": ("foo foobar", ["foo"]),
    r"o\B": ("foo", ["o"]),
    r"\d+": ("a12b345", ["12", "345"]),
    r"\D\S\W\s\w": ("a-- b", ["a-- b"]),
    r"[a-c-]+": ("ab-d", ["ab-"]),
    r"[^a-c\d]+": ("abXY1Z", ["XY", "Z"]),
    r"[]a]+": ("]a]", ["]a]"]),
    r"[[:alpha:]_]+": ("ab_1", ["ab_"]),
    r"[[:^digit:]]+": ("ab1", ["ab"]),
    r"[\t\n\x41\]]+": ("A\t\n]B", ["A\t\n]"]),
    r"\pL+": ("aäß1", ["aäß"]),
    r"\p{Lu}+": ("aÄB", ["ÄB"]),
    r"\P{L}+": ("a12b", ["12"]),
    r"[\p{Nd}x]+": ("x٣y", ["x٣"]),
    r"a*": ("baac", ["", "aa", ""]),
    r"a+?": ("aaa", ["a", "a", "a"]),
    r"<.*?>": ("<a><b>", ["<a>", "<b>"]),
    r"(?U)<.*>": ("<a><b>", ["<a>", "<b>"]),
    r"a{2}": ("aaaaa", ["aa", "aa"]),
    r"a{2,}": ("aaaaa", ["aaaaa"]),
    r"a{1,2}?": ("aaa", ["a", "a", "a"]),
    r"a{,2}": ("a{,2}", ["a{,2}"]),
    r"(a|b)*c": ("ababc", ["ababc"]),
    r"(a*)*": ("aa", ["aa"]),
    r"(|a)+b": ("aab", ["aab"]),
    r"x{0}y": ("xy", ["y"]),
    r"\.\*\$": (".*$", [".*$"]),
    r"\x{1F600}\x41\101": ("😀AA", ["😀AA"]),
    r"(?P<year>\d{4})-(?<month>\d\d)": ("on 2026-03", ["2026-03"]),
    r"": ("ab", ["", "", ""]),
    r"^[a-z]+(-[a-z]+)*$": ("one-two-three", ["one-two-three"]),
}


@pytest.mark.parametrize("pattern", FOUND)
def test_patterns_find_what_re2_finds(pattern: str) -> None:
    """Every construct matches leftmost-first, as in Go."""
    text, expected = FOUND[pattern]
    assert expected == find_all(pattern, text)


REFUSED = {
    "(": "the pattern has a ( that is not closed",
    ")": "the pattern has a ) too many",
    "[a": "the pattern has a [ that is not closed",
    "[b-a]": "the pattern has a range that runs backwards",
    r"[a-\d]": "the pattern has a range that runs backwards",
    "[[:nope:]]": "the pattern has the unknown class [:nope:]",
    "*a": "the pattern repeats nothing",
    "a**": "the pattern repeats a repetition; put parentheses around the inner one",
    "a{2,1}": "a pattern can repeat from a smaller number to at most 1000 times",
    "a{1001}": "a pattern can repeat from a smaller number to at most 1000 times",
    "(?=a)": "the pattern has a group of an unknown kind, or too many in each other",
    "(?<!a)b": "the pattern has a group of an unknown kind, or too many in each other",
    r"(a)\1": "the pattern has the escape \\1, which is not supported",
    r"\Qa\E": "the pattern has the escape \\Q, which is not supported",
    r"\y": "the pattern has the escape \\y, which is not supported",
    "\\": "the pattern has the escape \\, which is not supported",
    "(a{1000}){1000}": "the pattern is too large",
    "a" * 2001: "the pattern is longer than 2000 characters",
}


@pytest.mark.parametrize(("pattern", "expected"), REFUSED.items(), ids=[p[:20] for p in REFUSED])
def test_patterns_that_re2_does_not_know_are_refused(pattern: str, expected: str) -> None:
    """A pattern is refused with the reason; look-around and back-references do not exist in RE2."""
    with pytest.raises(Fault) as caught:
        compile_pattern(pattern)
    assert expected == caught.value.message


def test_groups_hold_their_last_turn() -> None:
    """A group inside a repetition keeps what it matched last; one that took no part has no place."""
    run = Run(Environment(0, "0"), {}, 1)
    regex = compile_pattern(r"(?:(a)|(?P<second>b))+(c)?")
    assert [0, 2, 0, 1, 1, 2, -1, -1] == regex.search("ab", 0, run)
    assert {"second": 2} == {name: n for name, n in regex.names.items() if name == "second"}


PIECES = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\b", "(?:a|b)", "(?:ab|a)", "(?:b|)"]
)
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "*?", "+?"])
PATTERNS = st.lists(st.tuples(PIECES, QUANTIFIERS), max_size=5).map(
    lambda parts: "".join(piece + ("" if piece == r"\b" else mark) for piece, mark in parts)
)


@settings(max_examples=200, deadline=None)
@given(PATTERNS, st.text("abc ", max_size=8))
def test_matches_agree_with_python(pattern: str, text: str) -> None:
    """Where RE2 and Python's `re` mean the same, the first match is the same."""
    run = Run(Environment(0, "0"), {}, 1)
    expected = re.search(pattern, text)
    found = compile_pattern(pattern).search(text, 0, run)
    assert (expected and list(expected.span())) == (found and found[:2])


@settings(max_examples=300, deadline=None)
@given(st.text("ab()[]{}*+?|\\^$.,-:123dwpLQE=!<>P", max_size=20))
def test_any_pattern_is_compiled_or_refused(pattern: str) -> None:
    """No pattern makes the compiler fail in another way, and none runs for long."""
    started = time.process_time()
    with suppress(Fault):
        find_all(pattern, "aab1-(b)*" * 3)
    assert time.process_time() - started < 1.0
