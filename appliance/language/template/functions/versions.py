"""Semantic versions (semver.org) and the ranges they may lie in."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from appliance.language.template.errors import Fault
from appliance.language.template.functions.dicts import Own
from appliance.language.template.functions.signature import f, text
from appliance.language.template.limits import Run

_TAIL = r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+(?P<meta>[0-9A-Za-z.-]+))?"
_NUMBER = r"[0-9]{1,18}"
_VERSION = re.compile(rf"v?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?{_TAIL}")
_PART = rf"(?:{_NUMBER}|[xX*])"
_RULE = re.compile(
    rf"[\s,]*(?P<sign>=|!=|>=|=>|<=|=<|>|<|~>|~|\^|)\s*"
    rf"v?(?P<numbers>{_PART}(?:\.{_PART}){{0,2}}){_TAIL}(?=[\s,]|$)"
)
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_LAST = (2**63,)


class Version(NamedTuple):
    """Ordered as semver says; `pre` sorts a release behind its pre-releases."""

    numbers: tuple[int, ...]
    pre: tuple[Any, ...]

    @classmethod
    def make(cls, numbers: tuple[int, ...], pre: str | None) -> Version:
        """Build a version; a missing number is 0."""
        parts = (pre or "").split(".")
        order = [(0, int(part[:18]), "") if part.isdigit() else (1, 0, part) for part in parts]
        return cls((*numbers, 0, 0)[:3], (0, *order) if pre else (1,))


def _parsed(source: str) -> re.Match[str]:
    found = _VERSION.fullmatch(source.strip())
    if not found:
        raise Fault("the text is not a version like 1.2.3")
    return found


def _version(source: str) -> Version:
    found = _parsed(source)
    return Version.make(tuple(int(part or 0) for part in found.group(1, 2, 3)), found["pre"])


def _describe(source: str) -> Own:
    found, version = _parsed(source), _version(source)
    return Own(
        zip(("Major", "Minor", "Patch"), version.numbers, strict=True),
        Prerelease=found["pre"] or "",
        Metadata=found["meta"] or "",
        Original=source,
    )


def _bumped(numbers: tuple[int, ...], place: int) -> Version:
    """Return the first version after all that share the numbers before and at *place*."""
    if place < 0:
        return Version(_LAST, (1,))
    return Version.make((*numbers[:place], numbers[place] + 1), None)


def _fits(rule: re.Match[str], version: Version) -> bool:
    numbers: tuple[int, ...] = ()
    for part in rule["numbers"].split("."):
        if not part.isdigit():
            break
        numbers += (int(part),)
    low, sign = Version.make(numbers, rule["pre"]), rule["sign"]
    if version.pre[0] == 0 and low.pre[0] == 1:
        return False
    after = _bumped(numbers, len(numbers) - 1)
    if sign == "^":
        leading = next((place for place, n in enumerate(numbers) if n), len(numbers) - 1)
        after = _bumped(numbers, leading)
    elif sign in ("~", "~>"):
        after = _bumped(numbers, min(len(numbers), 2) - 1)
    exact = len(numbers) == 3
    inside = version == low if exact and sign in ("", "=", "!=") else low <= version < after
    return {
        "!=": not inside,
        ">": version > low if exact else version >= after,
        ">=": version >= low,
        "=>": version >= low,
        "<": version < low,
        "<=": version <= low if exact else version < after,
        "=<": version <= low if exact else version < after,
    }.get(sign, inside)


def _satisfies(run: Run, constraint: str, source: str) -> bool:
    version = _version(source)
    for alternative in constraint.split("||"):
        rules, left = [], _HYPHEN.sub(r">=\1 <=\2", alternative).strip()
        while left:
            rule = _RULE.match(left)
            if not rule:
                raise Fault("the constraint is not like >=1.2, <2 or ^1.2.3")
            run.spend(1000 + len(left))
            rules.append(rule)
            left = left[rule.end() :].strip(" ,")
        if rules and all(_fits(rule, version) for rule in rules):
            return True
    return False


TABLE = {
    "semver": f(_describe, text),
    "semverCompare": f(_satisfies, text, text, run=True),
}
