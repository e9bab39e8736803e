"""A mapping read by a table of its fields: each has a name and a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from appliance.language.model import Json
from appliance.language.sections import Section

Field = Callable[[Section, str], Json]
"""Reads one field of a section; the readers of `Section` are some."""
Shape = Mapping[str, Field]


def read_shape(section: Section | None, shape: Shape, *silent: str) -> dict[str, Json]:
    """Return the fields that are there; what is not in *shape* and not *silent* is noted."""
    if section is None:
        return {}
    found = {key: field(section, key) for key, field in shape.items()}
    section.finish(silent)
    return {key: value for key, value in found.items() if section.has(key) and value is not None}


def choice(*options: str) -> Field:
    """One of *options*."""
    return lambda section, key: section.choice(key, options, options[0])


def whole(least: int, most: int | None = None) -> Field:
    """A whole number."""
    return lambda section, key: section.whole(key, least, least, most)


def number(least: float, most: float | None = None) -> Field:
    """A number."""
    return lambda section, key: section.number(key, least, least, most)


def needed(field: Field) -> Field:
    """A field that must be there."""

    def read(section: Section, key: str) -> Json:
        if not section.has(key):
            section.error(f"{key!r} is missing")
        return field(section, key)

    return read


def mapping(shape: Shape) -> Field:
    """A mapping with fields of its own."""
    return lambda section, key: read_shape(section.section(key), shape)


def each(shape: Shape) -> Field:
    """A list of mappings, each with fields of its own."""
    return lambda section, key: [read_shape(inner, shape) for inner in section.sections(key)]


def without_effect(section: Section, keys: Iterable[str], where: str = "") -> None:
    """Warn of fields that are there and change nothing."""
    for key in keys:
        if section.has(key):
            section.warn(f"{key} has no effect{where}", key)
