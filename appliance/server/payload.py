"""JSON that comes from outside: read strictly, so that both databases can hold what was said.

Refused are NaN and infinity, integers beyond 64 bit, U+0000, lone surrogates, a key said twice,
deep nesting and text that is not UTF-8: a database would refuse them late or change them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from appliance.errors import InvalidInput

MAX_DEPTH = 64
"""Objects and lists inside each other; whoever walks a value by recursion is safe below this."""

_NOT_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[^\[\]{}"]++', re.DOTALL)
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse(body: bytes) -> Any:
    """Return the value that *body* says.

    Raises InvalidInput, which says what is wrong and, where JSON itself is broken, at which byte.
    """
    _check_depth(body)
    try:
        value = _DECODER.decode(body.decode())
    except UnicodeDecodeError as problem:
        raise InvalidInput(f"The body is not UTF-8 (byte {problem.start}).") from problem
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        raise InvalidInput(
            f"The body is not JSON ({where}): {problem.msg.removesuffix(' at')}."
        ) from problem
    if b"\\u" in body:
        _check_texts(value)
    return value


def check_text(text: str) -> None:
    """Raise InvalidInput when no database could hold *text* (U+0000 or half of a character)."""
    if "\0" in text:
        raise InvalidInput("U+0000 cannot be stored; remove it from the text.")
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        message = "A lone surrogate (U+D800 to U+DFFF) is half of a character; send both halves."
        raise InvalidInput(message) from problem


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    brackets = _NOT_BRACKETS.sub(b"", body)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise InvalidInput(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _check_texts(value: Any) -> None:
    for text in _texts(value):
        check_text(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise InvalidInput(f"The key {_repeated(pairs)!r} is said twice in one object.")
    return mapping


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError(pairs)


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else 1 << 64  # int() of a long text is slow
    if not -(1 << 63) <= value < 1 << 63:
        raise InvalidInput(f"The integer {text[:24]} needs more than 64 bit; send it as text.")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidInput(f"The number {text[:24]} is beyond the range of a double.")
    return value


def _constant(text: str) -> Any:
    raise InvalidInput(f"{text} is not JSON; send null or a text instead.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_mapping,
    parse_float=_number,
    parse_int=_integer,
    parse_constant=_constant,
)
