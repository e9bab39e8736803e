"""What one render may use up, and the state it carries: output, variables, environment.

Everything is paid from one purse. Running a piece of a template costs `STEP`, looking at a list, a
map or another value `VALUE`, copying an item of a list or map `ITEM`, touching a character 1. So a
render may do `STEPS` steps, or copy 560,000 items, or touch 9 million characters. Functions pay
for what they read (see `functions.signature`) and before they build something larger than that, so
no template can fill the memory, or keep the event loop that it runs on for longer than a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from appliance.language.template.errors import Fault

STEPS = 14_000
STEP, VALUE, ITEM = 640, 1280, 16
LENGTH = 4 * 1024 * 1024
"""Characters that a text or the output of a render may have."""
ITEMS = 100_000
"""Items of a list that a function generates."""
WIDTH = 1_000
"""Width and precision in `printf`."""
DEPTH = 50
"""Templates that call each other."""
NESTING = 64
"""Blocks and parentheses inside each other."""
SOURCE = 1024 * 1024
"""Characters of a template's own text."""


class Environment:
    """The only clock (microseconds since the epoch, UTC) and the only dice a template sees.

    The dice are made from the text of *seed* when they are first thrown: few templates do that.
    """

    __slots__ = ("_random", "_seed", "now_us")

    def __init__(self, now_us: int, seed: object) -> None:
        self.now_us = now_us
        self._seed = seed
        self._random: Random | None = None

    @property
    def random(self) -> Random:
        """The dice, the same for the same seed."""
        if self._random is None:
            self._random = Random(str(self._seed))  # noqa: S311 - reproducible, not secret
        return self._random


class Run:
    """One render in progress."""

    __slots__ = ("depth", "environment", "left", "parts", "room", "slots")

    def __init__(
        self, environment: Environment, root: Mapping[str, Any], slots: int, steps: int = STEPS
    ) -> None:
        self.environment = environment
        self.left = steps * STEP
        self.room = LENGTH
        self.parts: list[str] = []
        self.slots: list[Any] = [root] + [None] * (slots - 1)
        self.depth = 0

    def spend(self, units: int) -> None:
        """Pay *units*; raises Fault when the purse is empty."""
        self.left -= units
        if self.left < 0:
            raise Fault(f"the template does more than {STEPS} steps' worth of work")

    def write(self, text: str) -> None:
        """Append *text* to the output."""
        self.room -= len(text)
        if self.room < 0:
            raise Fault(f"the output is longer than {LENGTH} characters")
        self.parts.append(text)

    def build(self, length: int) -> None:
        """Pay for a text of *length* characters that is about to be made."""
        if length > LENGTH:
            raise Fault(f"the text would be longer than {LENGTH} characters")
        self.spend(length)

    def generate(self, count: int) -> None:
        """Pay for a list of *count* items that is about to be made."""
        if count > ITEMS:
            raise Fault(f"the list would have more than {ITEMS} items")
        self.spend(count * ITEM)
