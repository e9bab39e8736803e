"""Cuts template text into tokens: literal text, and what stands between `{{` and `}}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from appliance.language.template.errors import Fault

_TOKEN = re.compile(
    r"""
    (?P<close> (?: \s+ - )? \}\} )
  | (?P<space> \s+ )
  | (?P<text> "[^"\\\n]*(?: \\[^\n] [^"\\\n]* )*" )
  | (?P<raw> `[^`]*` )
  | (?P<char> '[^'\\\n]*(?: \\[^\n] [^'\\\n]* )*' )
  | (?P<number> [+-]? \.? [0-9] (?: (?<=[eE])[+-] | [0-9A-Za-z_.] )* )
  | (?P<field> \. [^\W\d]\w* (?: -+\w+ )* )
  | (?P<variable> \$ \w* )
  | (?P<word> [^\W\d]\w* )
  | (?P<mark> := | [=|(),.] )
    """,
    re.VERBOSE,
)
_OPEN = re.compile(r"\{\{(-\s)?(/\*)?")
_BLANKS = " \t\r\n"
_UNTERMINATED = {'"': "text", "`": "raw text", "'": "character"}


class Token(NamedTuple):
    """One piece as written. `spaced` tells whether blanks stand before it."""

    kind: str
    value: str
    offset: int
    spaced: bool = False


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of *source*; literal text is a "literal", the last token is the "end".

    An action is "open", its tokens, "close". Comments vanish. Raises Fault.
    """
    offset, trim = 0, False
    while found := _OPEN.search(source, offset):
        yield from _literal(source, offset, found.start(), trim, found[1] is not None)
        if found[2]:
            offset, trim = _comment(source, found)
            continue
        yield Token("open", "{{", found.start())
        for token in _action(source, found):
            yield token
        offset, trim = token.offset + len(token.value), token.value != "}}"
    yield from _literal(source, offset, len(source), trim, False)
    yield Token("end", "", len(source))


def _literal(source: str, start: int, end: int, left: bool, right: bool) -> Iterator[Token]:
    text = source[start:end]
    text = text.lstrip(_BLANKS) if left else text
    text = text.rstrip(_BLANKS) if right else text
    if text:
        yield Token("literal", text, start)


def _action(source: str, opened: re.Match[str]) -> Iterator[Token]:
    spaced, offset = False, opened.end()
    while found := _TOKEN.match(source, offset):
        kind = found.lastgroup or ""
        if kind != "space":
            yield Token(kind, found[0], offset, spaced)
        if kind == "close":
            return
        spaced, offset = kind == "space", found.end()
    if offset == len(source):
        raise Fault('the action is not closed: "}}" is missing', opened.start())
    broken = _UNTERMINATED.get(source[offset])
    problem = f"the {broken} is not closed" if broken else f"unexpected {source[offset]!r}"
    raise Fault(problem, offset)


def _comment(source: str, opened: re.Match[str]) -> tuple[int, bool]:
    """Return where the comment's action ends, and whether it trims the text that follows."""
    end = source.find("*/", opened.end())
    close = _TOKEN.match(source, end + 2)
    if end < 0 or close is None or close.lastgroup != "close":
        raise Fault('the comment is not closed: it must end with "*/}}"', opened.start())
    return close.end(), close[0] != "}}"
