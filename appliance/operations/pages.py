"""Pages of listings: a cursor names the last entry seen, so a page costs the same wherever it is."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from appliance.errors import InvalidInput
from appliance.language.model import Json

MAX_LIMIT = 500


class Page(NamedTuple):
    """Entries of a listing, and the cursor of the next page, None on the last."""

    items: list[dict[str, Json]]
    next_cursor: str | None


def page_of(entries: list[dict[str, Json]], limit: int, key: str) -> Page:
    """Return the first *limit* entries; one more than that says that another page follows."""
    items = entries[:limit]
    more = len(entries) > limit
    return Page(items, encode_cursor(items[-1][key]) if more else None)


def encode_cursor(last: str) -> str:
    """Return the cursor of the page that follows the entry *last*."""
    return base64.urlsafe_b64encode(f"v1:{last}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Return the entry that a cursor names. Raises InvalidInput for what `encode_cursor` never made."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        version, _, last = base64.b64decode(padded, b"-_", validate=True).decode().partition(":")
    except (UnicodeError, binascii.Error):
        version, last = "", ""
    if version != "v1" or not last.isprintable():
        msg = "the cursor is not one of this server; begin without one"
        raise InvalidInput(msg)
    return last
