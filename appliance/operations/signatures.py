"""Signatures of webhooks: the proof that a delivery was made by somebody who holds the secret.

Pure functions of the raw body. A header holds one of three forms, all with HMAC-SHA256 in hex:
`<hex>`, `sha256=<hex>`, and `t=<seconds>,v1=<hex>`, which signs the time too, as `<seconds>.<body>`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

from appliance.errors import InvalidSignature
from appliance.language.model import Verify

HEADERS = {"github": "X-Hub-Signature-256", "stripe": "Stripe-Signature"}
"""Where the strategies that are known by name put the signature."""

_HEX = r"(?P<digest>[0-9a-fA-F]{64})"
_PLAIN = re.compile(f"(?:sha256=)?{_HEX}")
_PREFIXED = re.compile(f"sha256={_HEX}")
_PART = re.compile(rf"\s*(?:t=(?P<time>[0-9]{{1,12}})|v1={_HEX}|[^=,]*=[^,]*)\s*")


class Signature(NamedTuple):
    """What a header says: digests, of which one must be right, and the time that is signed."""

    digests: tuple[str, ...]
    time: str | None = None


def verify(
    rules: Verify,
    secret: bytes,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_s: float,
    skew_s: float,
) -> str:
    """Return the digest that proves *body*; the same delivery always has the same.

    Names of *headers* are lower-case; *now_s* is in seconds since the epoch and may differ by
    *skew_s* from a time that is signed. Raises InvalidSignature.
    """
    header = rules.header or HEADERS.get(rules.strategy, "")
    text = headers.get(header.lower())
    if not text:
        raise InvalidSignature(f"The header {header}, which holds the signature, is missing.")
    given = _read(rules.strategy, text)
    if given is None:
        raise InvalidSignature(f"The header {header} does not have the form of a signature.")
    expected = sign(secret, body, given.time)
    if not any(hmac.compare_digest(expected, digest) for digest in given.digests):
        raise InvalidSignature(f"The signature in {header} does not fit this body and secret.")
    if given.time is not None and abs(now_s - int(given.time)) > skew_s:
        raise InvalidSignature(
            f"The time in {header} is more than {skew_s:g} seconds off; sign when you send."
        )
    return expected


def sign(secret: bytes, body: bytes, time: str | None = None) -> str:
    """Return the digest of *body*, or of *time* (seconds since the epoch) and *body*."""
    signed = body if time is None else time.encode() + b"." + body
    return hmac.new(secret, signed, "sha256").hexdigest()


def _read(strategy: str, text: str) -> Signature | None:
    if strategy == "stripe" or (strategy == "hmac" and text.lstrip().startswith("t=")):
        return _timed(text)
    match = (_PREFIXED if strategy == "github" else _PLAIN).fullmatch(text.strip())
    return Signature((match["digest"].lower(),)) if match else None


def _timed(text: str) -> Signature | None:
    """Read `t=<seconds>,v1=<hex>` with more digests while a secret is replaced; None if it is not."""
    parts = [_PART.fullmatch(part) for part in text.split(",")]
    times = [part["time"] for part in parts if part and part["time"]]
    digests = tuple(part["digest"].lower() for part in parts if part and part["digest"])
    return Signature(digests, times[0]) if len(times) == 1 and digests else None
