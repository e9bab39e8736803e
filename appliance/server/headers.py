"""Header fields that every answer carries, so that a browser makes nothing of it but what it is."""

from __future__ import annotations

from collections.abc import Iterable

Field = tuple[bytes, bytes]

SECURITY: tuple[Field, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


def secured(fields: Iterable[Field]) -> list[Field]:
    """Return *fields* with every one of SECURITY that is not among them."""
    given = list(fields)
    names = {name for name, _ in given}
    return given + [field for field in SECURITY if field[0] not in names]
