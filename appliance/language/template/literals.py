"""The constants of a template: quoted and raw text, characters and numbers, as Go writes them."""

from __future__ import annotations

import math
import re

from appliance.language.template.errors import Fault
from appliance.language.template.lexer import Token

INT64 = range(-(2**63), 2**63)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SHORT = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))
_OCTAL = re.compile(r"([+-]?)0(_?[0-7]+)+")


def constant(token: Token) -> str | int | float:
    """Return the value of a literal token; a character is its code point. Raises Fault."""
    if token.kind == "raw":
        return token.value[1:-1]
    if token.kind == "number":
        return _number(token)
    text = unquote(token)
    if token.kind == "text":
        return text
    if len(text) != 1:
        raise Fault("single quotes hold one character; use double quotes for text", token.offset)
    return ord(text)


def unquote(token: Token) -> str:
    """Return the text between the quotes of *token* with its escapes resolved."""

    def resolve(found: re.Match[str]) -> str:
        escape = found[1]
        if escape in _SHORT:
            return _SHORT[escape]
        digits, byte = escape.lstrip("xuU"), escape[0] not in "uU"
        if len(digits) < 2 or not digits.isalnum():
            raise Fault(f"unknown escape {found[0]}", token.offset)
        code = int(digits, 8 if escape[0] in "01234567" else 16)
        if code > (0x7F if byte else 0x10FFFF) or 0xD800 <= code < 0xE000:
            raise Fault(f"{found[0]} is not a character", token.offset)
        return chr(code)

    return _ESCAPE.sub(resolve, token.value[1:-1])


def _number(token: Token) -> int | float:
    text = token.value
    try:
        whole = int(text, 8 if _OCTAL.fullmatch(text) else 0)
    except ValueError:
        whole = None
    if whole is not None and whole in INT64:
        return whole
    try:
        real = float(text)
    except ValueError:
        real = math.nan
    if whole is not None or not math.isfinite(real):
        raise Fault(f"{text[:40]} is not a number, or it does not fit into 64 bits", token.offset)
    return real
