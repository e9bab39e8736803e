"""Definitions: the memories of a project, each made ready for use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from appliance.errors import NotFound
from appliance.language.model import Memory
from appliance.language.suggestions import hint
from appliance.memory.limits import Limits
from appliance.memory.redaction import Redaction


class Definition(NamedTuple):
    """A memory of the project with its limits and its redaction."""

    memory: Memory
    limits: Limits
    redaction: Redaction


class Definitions:
    """The memories of a project by id."""

    def __init__(self, memories: Mapping[str, Memory]) -> None:
        self._found = {
            name: Definition(memory, Limits.of(memory), Redaction.of(memory))
            for name, memory in memories.items()
        }

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._found.values())

    def get(self, name: str) -> Definition:
        """Return a memory. Raises NotFound, which names those that there are."""
        found = self._found.get(name)
        if found is None:
            known = ", ".join(sorted(self._found))
            there = f"there are {known}" if known else "the project declares none under `memories`"
            raise NotFound(f"There is no memory {name!r}; {there}{hint(name, self._found) or '.'}")
        return found
