"""Naming by id: fields that select something which is declared elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from appliance.language.model import Json
from appliance.language.sections import Section
from appliance.language.shapes import Field
from appliance.language.suggestions import hint

Known = Mapping[str, Collection[str]]
"""Ids by kind. A kind that is absent is not checked."""


def selector(kind: str, known: Known) -> Field:
    """An id, as text or as `{id: ...}`, of something *known*."""

    def read(section: Section, key: str) -> Json:
        if not isinstance(section.raw(key), dict):
            return _check_known(kind, known, section, section.text(key), key)
        inner = section.section(key)
        assert inner is not None
        return _selected(kind, known, inner)

    return read


def selectors(kind: str, known: Known, *more: str) -> Field:
    """A list of such ids; a mapping may also have the fields *more*."""

    def read(section: Section, key: str) -> Json:
        return [
            _selected(kind, known, entry, *more)
            if isinstance(entry, Section)
            else _check_known(kind, known, section, entry, key, index)
            for index, entry in enumerate(section.entries(key))
        ]

    return read


def _selected(kind: str, known: Known, section: Section, *more: str) -> str:
    name = _check_known(kind, known, section, section.needed_text("id"), "id")
    section.finish(
        ("resource", *more), lambda key: f"{key} cannot stand here: only 'id' selects a {kind}"
    )
    return name


def _check_known(kind: str, known: Known, section: Section, name: str, *steps: str | int) -> str:
    if name and kind in known and name not in known[kind]:
        section.error(f"there is no {kind} {name!r}{hint(name, known[kind])}", *steps)
    return name


def schema(known: Mapping[str, Json]) -> Field:
    """A JSON schema, written here or *known* by its id."""
    return lambda section, key: section.schema(key, known)
