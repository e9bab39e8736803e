"""Regular expressions in RE2 syntax that cost at most (length of pattern x length of text).

Python's `re` can need exponential time for a pattern as short as `(a|a)*b`. Here a pattern becomes
a small program; the search remembers every (fork, position) that failed and never tries it again,
so no pattern can blow up. Alternatives are preferred in the order written, as in Go.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from appliance.language.template.errors import Fault
from appliance.language.template.limits import Run

_CHAR, _FORK, _JUMP, _SAVE, _LOOK, _FOUND = range(6)
_SIZE, _LONGEST, _DEEPEST = 5_000, 2_000, 50
_COST, _FORK_COST = 40, 100
"""Units of one instruction, and what a fork costs more because it is remembered."""

Test = Callable[[str], bool]
Code = list[tuple[int, Any, int]]
"""Instructions (what, argument, argument). Targets are relative, so pieces can be put together."""

_DIGIT = frozenset(string.digits)
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_PERL = {"d": _DIGIT, "w": _WORD, "s": frozenset("\t\n\f\r ")}
_POSIX = {
    "alnum": frozenset(string.ascii_letters + string.digits),
    "alpha": frozenset(string.ascii_letters),
    "ascii": frozenset(map(chr, range(128))),
    "blank": frozenset(" \t"),
    "cntrl": frozenset(map(chr, (*range(32), 127))),
    "digit": _DIGIT,
    "graph": frozenset(map(chr, range(33, 127))),
    "lower": frozenset(string.ascii_lowercase),
    "print": frozenset(map(chr, range(32, 127))),
    "punct": frozenset(string.punctuation),
    "space": frozenset("\t\n\v\f\r "),
    "upper": frozenset(string.ascii_uppercase),
    "word": _WORD,
    "xdigit": frozenset(string.hexdigits),
}
_CONTROLS = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]{1,4})(,([0-9]{0,4}))?\})(\??)")
_GROUP = re.compile(r"\((?:\?P?<(?P<name>\w+)>|\?(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<end>[:)]))?")
_CODE = re.compile(r"x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|([0-7]{3})")
_CATEGORY = re.compile(r"([pP])(?:\{(\^?)([A-Z][a-z]?)\}|([A-Z]))")


class Regex(NamedTuple):
    """A compiled pattern. `names` maps group names to their numbers; group 0 is the whole match."""

    code: tuple[tuple[int, Any, int], ...]
    groups: int
    names: dict[str, int]

    def search(self, text: str, start: int, run: Run) -> list[int] | None:
        """Return [start, end, start of group 1, end of group 1, ...]; -1 where there is none."""
        code, size, end, seen = self.code, len(self.code), len(text), set[int]()
        for begin in range(start, end + 1):
            stack: list[tuple[int, int, Any]] = [(0, begin, None)]
            while stack:
                place, at, saved = stack.pop()
                while True:
                    run.left -= _COST
                    if run.left < 0:
                        run.spend(0)
                    what, first, second = code[place]
                    if what == _CHAR:
                        if at == end or not first(text[at]):
                            break
                        at += 1
                    elif what == _FORK:
                        state = at * size + place
                        if state in seen:
                            break
                        seen.add(state)
                        run.left -= _FORK_COST
                        stack.append((place + second, at, saved))
                        place += first - 1
                    elif what == _JUMP:
                        place += first - 1
                    elif what == _SAVE:
                        saved = (first, at, saved)
                    elif what == _LOOK:
                        if not first(text, at):
                            break
                    else:
                        return self._groups(begin, at, saved)
                    place += 1
        return None

    def _groups(self, begin: int, end: int, saved: Any) -> list[int]:
        found = [begin, end] + [-1] * (2 * self.groups)
        while saved:
            slot, at, saved = saved
            if found[slot] < 0:
                found[slot] = at
        return found

    def matches(self, text: str, run: Run) -> Iterator[list[int]]:
        """Yield the matches from left to right, as Go finds them."""
        at, last = 0, -1
        while at <= len(text) and (found := self.search(text, at, run)):
            begin, end = found[:2]
            if end > at or begin != last:
                yield found
            at, last = (end if end > at else at + 1), end


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Regex:
    """Compile *source*; raises Fault that tells what RE2 does not know or this engine refuses."""
    if len(source) > _LONGEST:
        raise Fault(f"the pattern is longer than {_LONGEST} characters")
    pattern = _Pattern(source)
    code = pattern.alternatives()
    if pattern.at < len(source):
        raise Fault("the pattern has a ) too many")
    return Regex((*code, (_FOUND, None, 0)), pattern.groups, pattern.names)


def _one(test: Test) -> Code:
    return [(_CHAR, test, 0)]


def _fork(near: int, far: int, lazy: bool) -> tuple[int, int, int]:
    return (_FORK, far, near) if lazy else (_FORK, near, far)


def _edge(text: str, at: int) -> bool:
    before = at > 0 and text[at - 1] in _WORD
    return before != (at < len(text) and text[at] in _WORD)


_LOOKS: dict[str, Callable[[str, int], bool]] = {
    "^": lambda _text, at: at == 0,
    "$": lambda text, at: at == len(text),
    "m^": lambda text, at: at == 0 or text[at - 1] == "\n",
    "m$": lambda text, at: at == len(text) or text[at] == "\n",
    "b": _edge,
    "B": lambda text, at: not _edge(text, at),
}
_LOOKS |= {"A": _LOOKS["^"], "z": _LOOKS["$"]}


class _Pattern:
    """Turns a pattern into code while reading it once from left to right."""

    def __init__(self, source: str) -> None:
        self.source, self.at = source, 0
        self.groups, self.depth = 0, 0
        self.names: dict[str, int] = {}
        self.flags: frozenset[str] = frozenset()

    def take(self, literal: str) -> bool:
        found = self.source.startswith(literal, self.at)
        self.at += len(literal) * found
        return found

    def read(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.source, self.at)
        self.at = found.end() if found else self.at
        return found

    def alternatives(self) -> Code:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        code = branches.pop()
        while branches:
            branch = branches.pop()
            code = [(_FORK, 1, len(branch) + 2), *branch, (_JUMP, len(code) + 1, 0), *code]
        return code

    def sequence(self) -> Code:
        code: Code = []
        while self.at < len(self.source) and self.source[self.at] not in "|)":
            code += self.repeated(self.atom())
            if len(code) > _SIZE:
                raise Fault("the pattern is too large")
        return code

    def repeated(self, code: Code) -> Code:
        found = self.read(_QUANTIFIER)
        if not found:
            return code
        if self.at < len(self.source) and _QUANTIFIER.match(self.source, self.at):
            raise Fault("the pattern repeats a repetition; put parentheses around the inner one")
        lazy = bool(found[5]) != ("U" in self.flags)
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(
            found[1], (int(found[2] or 0), int(found[4]) if found[4] else None)
        )
        if found[2] and not found[3]:
            most = least
        if max(least, most or 0) > 1000 or (most is not None and most < least):
            raise Fault("a repetition count must go from a smaller number to at most 1000")
        if len(code) * max(least, most or 1) > _SIZE:
            raise Fault("the pattern is too large")
        size = len(code)
        if most is None:
            loop = [_fork(1, size + 2, lazy), *code, (_JUMP, -size - 1, 0)]
            return code * least + loop
        options = most - least
        optional = [[_fork(1, (size + 1) * (options - n), lazy), *code] for n in range(options)]
        return code * least + [step for option in optional for step in option]

    def atom(self) -> Code:
        char = self.source[self.at]
        if char == "(":
            return self.group()
        if _QUANTIFIER.match(self.source, self.at):
            raise Fault("the pattern repeats nothing")
        self.at += 1
        if char == "[":
            return _one(self.charset())
        if char == "\\":
            return self.escape()
        if char in "^$":
            return [(_LOOK, _LOOKS[("m" if "m" in self.flags else "") + char], 0)]
        if char == ".":
            return _one((lambda _: True) if "s" in self.flags else "\n".__ne__)
        return self.literal(char)

    def group(self) -> Code:
        found = self.read(_GROUP)
        self.depth += 1
        if found is None or self.source.startswith("?", self.at) or self.depth > _DEEPEST:
            raise Fault("the pattern has a group that is not supported, or too many in each other")
        outer = self.flags
        if found["flags"] is not None:
            on, _, off = found["flags"].partition("-")
            self.flags = (self.flags | set(on)) - set(off)
        if found["end"] == ")":
            self.depth -= 1
            return []
        number = 0
        if found["end"] is None:
            self.groups += 1
            number = self.groups
            if found["name"]:
                self.names[found["name"]] = number
        code = self.alternatives()
        if not self.take(")"):
            raise Fault("the pattern has a ( that is not closed")
        self.flags = outer
        self.depth -= 1
        return [(_SAVE, 2 * number, 0), *code, (_SAVE, 2 * number + 1, 0)] if number else code

    def escape(self) -> Code:
        if self.take("Q"):
            end = self.source.find("\\E", self.at)
            literal = self.source[self.at : end if end >= 0 else None]
            self.at += len(literal) + 2 * (end >= 0)
            return [step for char in literal for step in self.literal(char)]
        name = self.source[self.at : self.at + 1]
        if name.isalpha() and name in _LOOKS:
            self.at += 1
            return [(_LOOK, _LOOKS[name], 0)]
        test = self.shorthand()
        return _one(test) if test else self.literal(self.character())

    def literal(self, char: str) -> Code:
        return _one(self.folded(frozenset(char).__contains__))

    def shorthand(self) -> Test | None:
        r"""Read what follows the backslash of \d, \W, \pL and the like, if it is one of them."""
        name = self.source[self.at : self.at + 1]
        if name.lower() in _PERL and name:
            self.at += 1
            members = _PERL[name.lower()]
            return members.__contains__ if name.islower() else lambda c: c not in members
        if found := self.read(_CATEGORY):
            category, negated = found[3] or found[4], (found[1] == "P") != bool(found[2])
            return lambda c: unicodedata.category(c).startswith(category) != negated
        return None

    def character(self) -> str:
        """Read what follows the backslash of an escaped character."""
        if found := self.read(_CODE):
            code = int(found[3], 8) if found[3] else int(found[1] or found[2], 16)
            if code > 0x10FFFF:
                raise Fault("the pattern names a character that does not exist")
            return chr(code)
        char = self.source[self.at : self.at + 1]
        self.at += 1
        if not char or (char.isalnum() and char not in _CONTROLS):
            raise Fault(f"the pattern has the escape \\{char}, which is not supported")
        return _CONTROLS.get(char, char)

    def folded(self, test: Test) -> Test:
        """Make *test* blind to case when the flag i is on."""
        if "i" not in self.flags:
            return test
        return lambda c: test(c) or test(c.lower()) or test(c.upper())

    def charset(self) -> Test:
        """Read a character class, after its opening bracket."""
        negated = self.take("^")
        ranges: list[tuple[str, str]] = []
        tests: list[Test] = []
        opening = self.at
        while not self.source.startswith("]", self.at) or self.at == opening:
            if self.at >= len(self.source):
                raise Fault("the pattern has a [ that is not closed")
            low = high = self.posix() or self.member()
            if callable(low):
                tests.append(low)
                continue
            if self.source[self.at : self.at + 1] == "-" and self.source[self.at + 1 :][:1] != "]":
                self.at += 1
                high = self.member()
            if callable(high) or high < low:
                raise Fault("the pattern has a range that runs backwards")
            ranges.append((low, high))
        self.at += 1
        inside = self.folded(
            lambda c: any(low <= c <= high for low, high in ranges) or any(t(c) for t in tests)
        )
        ascii_members = frozenset(c for c in map(chr, range(128)) if inside(c) != negated)
        return lambda c: c in ascii_members or (c > "\x7f" and inside(c) != negated)

    def posix(self) -> Test | None:
        found = self.read(re.compile(r"\[:(\^?)([a-z]+):\]"))
        if not found:
            return None
        if found[2] not in _POSIX:
            raise Fault(f"the pattern has the unknown class [:{found[2]}:]")
        members = _POSIX[found[2]]
        return (lambda c: c not in members) if found[1] else members.__contains__

    def member(self) -> str | Test:
        if self.take("\\"):
            return self.shorthand() or self.character()
        self.at += 1
        return self.source[self.at - 1 : self.at]
