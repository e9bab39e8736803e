"""The syntax of regular expressions (RE2's, as in Go): turns a pattern into a `Regex`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from appliance.language.template.errors import Fault
from appliance.language.template.regex import CHAR, FORK, FOUND, JUMP, LOOK, SAVE, Code, Regex, Test

_SIZE, _LONGEST, _DEEPEST, _REPEATS = 5_000, 2_000, 50, 1_000
_CLASSES = {
    "d": "09", "s": "\t\n\f\r  ", "w": "09AZaz__",
    "alnum": "09AZaz", "alpha": "AZaz", "ascii": "\0\x7f", "blank": "\t\t  ",
    "cntrl": "\0\x1f\x7f\x7f", "digit": "09", "graph": "!~", "lower": "az", "print": " ~",
    "punct": "!/:@[`{~", "space": "\t\r  ", "upper": "AZ", "word": "09AZaz__", "xdigit": "09AFaf",
}  # fmt: skip
"""Each class as pairs of first and last characters."""
_CONTROLS = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]{1,4})(,([0-9]{0,4}))?\})(\??)")
_GROUP = re.compile(r"\((?:\?P?<(?P<name>\w+)>|\?(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<end>[:)]))?")
_CODE = re.compile(r"x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|([0-7]{3})")
_CATEGORY = re.compile(r"([pP])(?:\{(\^?)([A-Z][a-z]?)\}|([A-Z]))")
_POSIX = re.compile(r"\[:(\^?)([a-z]+):\]")


def _within(pairs: str, *, negated: bool = False) -> Test:
    ranges = list(zip(pairs[::2], pairs[1::2], strict=True))
    return lambda char: any(low <= char <= high for low, high in ranges) != negated


_is_word = _within(_CLASSES["w"])


def _edge(text: str, at: int) -> bool:
    before = at > 0 and _is_word(text[at - 1])
    return before != (at < len(text) and _is_word(text[at]))


_LOOKS: dict[str, Callable[[str, int], bool]] = {
    "^": lambda _text, at: at == 0,
    "$": lambda text, at: at == len(text),
    "m^": lambda text, at: at == 0 or text[at - 1] == "\n",
    "m$": lambda text, at: at == len(text) or text[at] == "\n",
    "A": lambda _text, at: at == 0,
    "z": lambda text, at: at == len(text),
    "b": _edge,
    "B": lambda text, at: not _edge(text, at),
}


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> Regex:
    """Compile *source*; raises Fault that tells what is wrong or refused."""
    if len(source) > _LONGEST:
        raise Fault(f"the pattern is longer than {_LONGEST} characters")
    pattern = _Pattern(source)
    code = pattern.alternatives()
    if pattern.at < len(source):
        raise Fault("the pattern has a ) too many")
    return Regex([*code, (FOUND, None, 0)], pattern.groups, pattern.names)


class _Pattern:
    """Turns a pattern into code while reading it once from left to right."""

    def __init__(self, source: str) -> None:
        self.source, self.at = source, 0
        self.groups, self.depth = 0, 0
        self.names: dict[str, int] = {}
        self.flags: frozenset[str] = frozenset()

    def peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def take(self, char: str) -> bool:
        found = self.peek() == char
        self.at += found
        return found

    def read(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.source, self.at)
        self.at = found.end() if found else self.at
        return found

    def alternatives(self) -> Code:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        left = sum(len(branch) + 2 for branch in branches) - 2
        code: Code = []
        for branch in branches[:-1]:
            left -= len(branch) + 2
            code += [(FORK, 1, len(branch) + 2), *branch, (JUMP, left + 1, 0)]
        return code + branches[-1]

    def sequence(self) -> Code:
        code: Code = []
        while self.peek() not in ("", "|", ")"):
            code += self.repeated(self.atom())
            if len(code) > _SIZE:
                raise Fault("the pattern is too large")
        return code

    def repeated(self, code: Code) -> Code:
        """Read the quantifier after *code*, if there is one, and repeat *code* accordingly."""
        found = self.read(_QUANTIFIER)
        if not found:
            return code
        least, most = self.bounds(found)
        if _QUANTIFIER.match(self.source, self.at):
            raise Fault("the pattern repeats a repetition; put parentheses around the inner one")
        size, lazy = len(code), bool(found[5]) != ("U" in self.flags)
        if size * max(least, most or 1) > _SIZE:
            raise Fault("the pattern is too large")

        def fork(target: int) -> tuple[int, int, int]:
            return (FORK, target, 1) if lazy else (FORK, 1, target)

        repeated = code * least
        if most is None:
            return [*repeated, fork(size + 2), *code, (JUMP, -size - 1, 0)]
        for left in range(most - least, 0, -1):
            repeated += [fork(left * (size + 1)), *code]
        return repeated

    def bounds(self, found: re.Match[str]) -> tuple[int, int | None]:
        if found[1]:
            return int(found[1] == "+"), 1 if found[1] == "?" else None
        least = int(found[2])
        most = (int(found[4]) if found[4] else None) if found[3] else least
        if max(least, most or 0) > _REPEATS or (most is not None and most < least):
            raise Fault(f"a pattern can repeat from a smaller number to at most {_REPEATS} times")
        return least, most

    def atom(self) -> Code:
        if self.peek() == "(":
            return self.group()
        if _QUANTIFIER.match(self.source, self.at):
            raise Fault("the pattern repeats nothing")
        self.at += 1
        char = self.source[self.at - 1]
        if char == "[":
            return [(CHAR, self.charset(), 0)]
        if char == "\\":
            return self.escape()
        if char in "^$":
            return [(LOOK, _LOOKS[("m" if "m" in self.flags else "") + char], 0)]
        if char == ".":
            return [(CHAR, (lambda _: True) if "s" in self.flags else "\n".__ne__, 0)]
        return self.literal(char)

    def group(self) -> Code:
        found = self.read(_GROUP)
        self.depth += 1
        if found is None or self.peek() == "?" or self.depth > _DEEPEST:
            raise Fault("the pattern has a group of an unknown kind, or too many in each other")
        outer, number = self.flags, 0
        if found["flags"] is not None:
            on, _, off = found["flags"].partition("-")
            self.flags = (self.flags | set(on)) - set(off)
        if found["end"] is None:
            self.groups += 1
            number = self.groups
            self.names[found["name"] or ""] = number
        code: Code = []
        if found["end"] != ")":
            code = self.alternatives()
            self.flags = outer
            if not self.take(")"):
                raise Fault("the pattern has a ( that is not closed")
        self.depth -= 1
        return [(SAVE, 2 * number, 0), *code, (SAVE, 2 * number + 1, 0)] if number else code

    def escape(self) -> Code:
        if self.peek().isalpha() and self.peek() in _LOOKS:
            self.at += 1
            return [(LOOK, _LOOKS[self.source[self.at - 1]], 0)]
        test = self.shorthand()
        return [(CHAR, test, 0)] if test else self.literal(self.character())

    def literal(self, char: str) -> Code:
        return [(CHAR, self.folded(char.__eq__), 0)]

    def folded(self, test: Test) -> Test:
        """Make *test* blind to case when the flag i is on."""
        if "i" not in self.flags:
            return test
        return lambda char: test(char) or test(char.lower()) or test(char.upper())

    def shorthand(self) -> Test | None:
        r"""Read what follows the backslash of \d, \W, \pL and the like, if it is one of them."""
        name = self.peek()
        if name and name in "dswDSW":
            self.at += 1
            return _within(_CLASSES[name.lower()], negated=name.isupper())
        found = self.read(_CATEGORY)
        if not found:
            return None
        category, negated = found[3] or found[4], (found[1] == "P") != bool(found[2])
        return lambda char: unicodedata.category(char).startswith(category) != negated

    def character(self) -> str:
        """Read what follows the backslash of an escaped character."""
        if found := self.read(_CODE):
            code = int(found[3], 8) if found[3] else int(found[1] or found[2], 16)
            return chr(min(code, 0x10FFFF))
        char = self.peek()
        self.at += 1
        if not char or (char.isalnum() and char not in _CONTROLS):
            raise Fault(f"the pattern has the escape \\{char}, which is not supported")
        return _CONTROLS.get(char, char)

    def charset(self) -> Test:
        """Read a character class, after its opening bracket."""
        negated, opening = self.take("^"), self.at
        pairs, tests = "", list[Test]()
        while self.peek() != "]" or self.at == opening:
            low = high = self.member()
            if callable(low):
                tests.append(low)
                continue
            if self.peek() == "-" and self.source[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self.member()
            if callable(high) or high < low:
                raise Fault("the pattern has a range that runs backwards")
            pairs += low + high
        self.at += 1
        tests.append(_within(pairs))
        inside = self.folded(lambda char: any(test(char) for test in tests))
        return lru_cache(maxsize=256)(lambda char: inside(char) != negated)

    def member(self) -> str | Test:
        """Read one member of a character class: a character or a class of them."""
        if found := self.read(_POSIX):
            if found[2] not in _CLASSES or len(found[2]) == 1:
                raise Fault(f"the pattern has the unknown class [:{found[2]}:]")
            return _within(_CLASSES[found[2]], negated=bool(found[1]))
        if self.take("\\"):
            return self.shorthand() or self.character()
        self.at += 1
        if self.at > len(self.source):
            raise Fault("the pattern has a [ that is not closed")
        return self.source[self.at - 1]
