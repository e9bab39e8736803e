"""Regular expressions that cost at most (size of the pattern x length of the text).

Python's `re` can need exponential time for a pattern as short as `(a|a)*b`. Here a pattern is a
small program; the search remembers every (fork, position) that failed and never tries it again,
so no pattern can blow up. Alternatives are preferred in the order written, as in Go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from appliance.language.template.limits import Run

CHAR, FORK, JUMP, SAVE, LOOK, FOUND = range(6)
Test = Callable[[str], bool]
Code = list[tuple[int, Any, int]]
"""Instructions: CHAR test, FORK first second, JUMP target, SAVE slot, LOOK test, FOUND.

Targets are relative, so pieces of code can be put together.
"""
_COST, _FORK_COST = 128, 256
"""Units of one instruction, and what a fork costs more because it is remembered."""


class Regex(NamedTuple):
    """A compiled pattern. `names` maps group names to their numbers; group 0 is the whole match."""

    code: Code
    groups: int
    names: dict[str, int]

    def search(self, text: str, start: int, run: Run) -> list[int] | None:  # noqa: C901, PLR0912 - one interpreter, one loop
        """Return [start, end, start of group 1, end of group 1, ...]; -1 where there is none."""
        code, size, end, failed = self.code, len(self.code), len(text), set[int]()
        for begin in range(start, end + 1):
            stack: list[tuple[int, int, Any]] = [(0, begin, None)]
            while stack:
                place, at, saved = stack.pop()
                while True:
                    run.left -= _COST
                    if run.left < 0:
                        run.spend(0)
                    what, first, second = code[place]
                    if what == CHAR:
                        if at == end or not first(text[at]):
                            break
                        at += 1
                    elif what == FORK:
                        state = at * size + place
                        if state in failed:
                            break
                        failed.add(state)
                        run.left -= _FORK_COST
                        stack.append((place + second, at, saved))
                        place += first - 1
                    elif what == JUMP:
                        place += first - 1
                    elif what == SAVE:
                        saved = (first, at, saved)
                    elif what == LOOK:
                        if not first(text, at):
                            break
                    else:
                        return self._positions(begin, at, saved)
                    place += 1
        return None

    def _positions(self, begin: int, end: int, saved: Any) -> list[int]:
        found = [begin, end] + [-1] * (2 * self.groups)
        while saved:
            slot, at, saved = saved
            if found[slot] < 0:
                found[slot] = at
        return found

    def matches(self, text: str, run: Run) -> Iterator[list[int]]:
        """Yield the matches from left to right; an empty one right behind a match does not count."""
        at, last = 0, -1
        while at <= len(text) and (found := self.search(text, at, run)):
            begin, end = found[:2]
            if end > at or begin != last:
                yield found
            at, last = (end if end > at else at + 1), end
