"""Preconditions: `ETag`, `If-Match` and `If-None-Match` (RFC 9110), with strong tags alone."""

from __future__ import annotations

import re
from typing import Annotated

from litestar.params import HeaderParameter

from appliance.errors import InvalidInput
from appliance.operations.resources import Condition

IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description="The `ETag` that it must still have."),
]
IfNoneMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-None-Match",
        description="The `ETag` that is known; for a change `*`: there must be nothing yet.",
    ),
]

_TAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')


def tagged(etag: str) -> dict[str, str]:
    """Return the header fields of an answer that has *etag*."""
    return {"etag": f'"{etag}"', "cache-control": "no-cache"}


def known(etag: str, if_none_match: str | None) -> bool:
    """Whether a client knows already what has *etag*; for reading a weak tag is as good."""
    found = tagged(etag)["etag"]
    tags = (tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(","))
    return any(tag in {found, "*"} for tag in tags)


def condition(if_match: str | None, if_none_match: str | None = None) -> Condition:
    """Return what the header fields ask of a change. Raises InvalidInput."""
    return Condition(_etags("If-Match", if_match), _etags("If-None-Match", if_none_match))


def _etags(name: str, value: str | None) -> frozenset[str] | None:
    if value is None or value.strip() == "*":
        return None if value is None else frozenset("*")
    tags = [_TAG.fullmatch(tag.strip()) for tag in value.split(",")]
    found = [tag for tag in tags if tag is not None]
    if len(found) < len(tags):
        raise InvalidInput(f'{name} must be * or the text of an ETag in quotes: {name}: "…".')
    return frozenset(tag[2] for tag in found if not tag[1])
