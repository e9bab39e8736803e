"""Redaction: what matches a pattern is replaced before anything is stored."""

from __future__ import annotations

from typing import NamedTuple

from appliance.errors import InvalidInput
from appliance.language.model import Json, Memory
from appliance.language.template.errors import Fault
from appliance.language.template.limits import Environment, Run
from appliance.language.template.pattern import compile_pattern
from appliance.language.template.regex import Regex

_NOWHERE = Environment(0, "")
_STEPS = 400_000
"""Work that searching a text may take: large ones are searched beside the event loop."""


class Redaction(NamedTuple):
    """The patterns of a memory, ready, and what stands in their place."""

    patterns: tuple[Regex, ...]
    replacement: str

    @classmethod
    def of(cls, memory: Memory) -> Redaction:
        """Return the redaction of a memory. Raises InvalidInput for a pattern that is none."""
        try:
            patterns = tuple(compile_pattern(source) for source in memory.redact_patterns)
        except Fault as fault:
            raise InvalidInput(
                f"A redact pattern of the memory {memory.id!r} cannot be used: {fault.message}."
            ) from fault
        return cls(patterns, memory.redaction)

    def apply(self, value: Json) -> Json:
        """Return *value* without what the patterns match, in texts, names and numbers alike.

        Raises: InvalidInput for a text that is too long to be searched: it is not stored unsearched.
        """
        if not self.patterns:
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.apply(item) for item in value]
        if isinstance(value, dict):
            return {self._text(name): self.apply(item) for name, item in value.items()}
        if value is None or isinstance(value, bool):
            return value
        written = str(value)
        hidden = self._text(written)
        return value if hidden == written else hidden

    def _text(self, text: str) -> str:
        try:
            for pattern in self.patterns:
                text = self._hide(pattern, text)
        except Fault:
            raise InvalidInput(
                f"A text of {len(text):,} characters is too long to be searched for what must not"
                " be stored; write it as several messages."
            ) from None
        return text

    def _hide(self, pattern: Regex, text: str) -> str:
        parts: list[str] = []
        at = 0
        for begin, end, *_ in pattern.matches(text, Run(_NOWHERE, {}, 1, _STEPS)):
            if begin < end:  # an empty match hides nothing
                parts += [text[at:begin], self.replacement]
                at = end
        return "".join([*parts, text[at:]])
