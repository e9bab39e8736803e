"""Tokens: the texts of API keys (`cpzy_`) and sessions (`cpzs_`).

A token is the marker, 8 characters that name it, 32 secret ones (190 bits) and a checksum of 6 over
all before, in letters and digits only. The checksum refuses typing errors, and lets scanners tell a
leaked key from noise, without a look at the database.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from typing import NamedTuple

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY = "cpzy_"
_SESSION = "cpzs_"
_NAME = 8
_SECRET = 32
_CHECKSUM = 6
_LENGTH = len(_KEY) + _NAME + _SECRET + _CHECKSUM


class Token(NamedTuple):
    """A fresh token. Only `digest` is stored; `prefix` may be shown to recognise it by."""

    text: str
    digest: str
    prefix: str


def new_key() -> Token:
    """Return the token of a new API key."""
    return _new(_KEY)


def known_key(text: str | None) -> Token | None:
    """Return the token of a key that was made before, None when *text* cannot be one."""
    if text is None or not well_formed(text) or is_session(text):
        return None
    return Token(text, digest(text), text[: len(_KEY) + _NAME])


def new_session() -> Token:
    """Return the token of a new session."""
    return _new(_SESSION)


def digest(text: str) -> str:
    """Return SHA-256 of a token in hexadecimal. A slow hash would add nothing to 190 random bits."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def is_session(text: str) -> bool:
    """Tell whether a well-formed token is that of a session, not an API key."""
    return text.startswith(_SESSION)


def well_formed(text: str) -> bool:
    """Tell whether *text* can be a token: shape and checksum. Any one wrong character is found."""
    return (
        len(text) == _LENGTH
        and text.isascii()
        and text.startswith((_KEY, _SESSION))
        and text[-_CHECKSUM:] == _checksum(text[:-_CHECKSUM])
    )


def _new(marker: str) -> Token:
    prefix = marker + _random(_NAME)
    body = prefix + _random(_SECRET)
    text = body + _checksum(body)
    return Token(text, digest(text), prefix)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, text = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        text = _ALPHABET[digit] + text
    return text
