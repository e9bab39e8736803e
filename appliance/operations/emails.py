"""Email addresses: what may be one, and which two are the same."""

from __future__ import annotations

import re
import unicodedata

from appliance.errors import InvalidInput

MAX_CHARACTERS = 254
_SHAPE = re.compile(r"[^@\s]{1,64}@[^@\s]+")


def key(email: str) -> str:
    """Return the form under which *email* is unique: however it is typed, it is one mailbox.

    Raises InvalidInput when it is not an address. A domain needs no dot: admin@localhost is fine.
    """
    shaped = len(email) <= MAX_CHARACTERS and email.isprintable() and _SHAPE.fullmatch(email)
    if not shaped:
        raise InvalidInput(
            "The email address is not valid; it looks like name@example.com and has at most "
            f"{MAX_CHARACTERS} characters."
        )
    return unicodedata.normalize("NFC", email.casefold())
