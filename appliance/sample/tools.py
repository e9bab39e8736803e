"""The tools of the sample project: plain functions that take and return what JSON can say."""

from __future__ import annotations


def greet(name: str) -> dict[str, str]:
    """Return a greeting for *name*."""
    return {"greeting": f"Hello, {name}!"}
