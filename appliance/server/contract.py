"""What a route promises beyond its signature: its errors and its other answers, for OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from appliance.errors import ApplianceError

UNLIMITED: Final = {"unlimited": True}
"""The part of `opt` of a route whose requests are not counted: whoever watches over us must not be
turned away."""


def raises(*errors: type[ApplianceError]) -> dict[str, Any]:
    """Return the part of a route's `opt` that names errors which the edge does not imply."""
    return {"errors": errors}


def answers(status: int, description: str, body: Any = None) -> dict[str, Any]:
    """Return the part of a route's `opt` that names one more answer; *body* is a type or None."""
    return {"answers": {status: (description, body)}}


def reads(*media_types: str) -> dict[str, Any]:
    """Return the part of a route's `opt` that names the kinds of a body that it reads by itself."""
    return {"reads": media_types}
