"""Regular expressions, with Go's syntax (RE2) and Go's idea of matches."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from appliance.language.template.functions.signature import number, row, scanned, text, with_must
from appliance.language.template.limits import ITEM, VALUE, Run
from appliance.language.template.pattern import compile_pattern
from appliance.language.template.regex import Regex

_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


def _pattern(run: Run, value: Any) -> Regex:
    pattern = compile_pattern(text(run, value))
    run.spend(VALUE * len(value) + ITEM * len(pattern.code))
    return pattern


def _find(run: Run, pattern: Regex, source: str) -> str:
    found = pattern.search(source, 0, run)
    return source[found[0] : found[1]] if found else ""


def _find_all(run: Run, pattern: Regex, source: str, count: int) -> list[str]:
    matches = islice(pattern.matches(source, run), count if count >= 0 else None)
    return [source[found[0] : found[1]] for found in matches]


def _replace(run: Run, pattern: Regex, source: str, new: str) -> str:
    def expanded(found: list[int]) -> str:
        def value(reference: re.Match[str]) -> str:
            name = reference[2] or reference[3]
            if not name:
                return "$"
            group = int(name[:9]) if name.isdigit() else pattern.names.get(name, -1)
            if not 0 <= group <= pattern.groups or found[2 * group] < 0:
                return ""
            run.spend(found[2 * group + 1] - found[2 * group])
            return source[found[2 * group] : found[2 * group + 1]]

        run.spend(VALUE * new.count("$"))
        return _REFERENCE.sub(value, new)

    return _put(run, pattern, source, expanded)


def _replace_literal(run: Run, pattern: Regex, source: str, new: str) -> str:
    return _put(run, pattern, source, lambda _found: new)


def _put(run: Run, pattern: Regex, source: str, new: Any) -> str:
    parts: list[str] = []
    at = 0
    for found in pattern.matches(source, run):
        parts += [source[at : found[0]], new(found)]
        run.build(len(parts[-1]) + VALUE)
        at = found[1]
    return "".join([*parts, source[at:]])


def _split(run: Run, pattern: Regex, source: str, count: int) -> list[str]:
    if count == 0:
        return []
    if not source:
        return [""]
    parts: list[str] = []
    begin = end = 0
    for found in pattern.matches(source, run):
        if len(parts) == count - 1:
            break
        end = found[0]
        if found[1]:
            parts.append(source[begin:end])
        begin = found[1]
    if end != len(source):
        parts.append(source[begin:])
    return parts


_ORDINARY = {
    "regexMatch": row(lambda run, p, s: bool(p.search(s, 0, run)), _pattern, scanned, run=True),
    "regexFind": row(_find, _pattern, scanned, run=True),
    "regexFindAll": row(_find_all, _pattern, scanned, number, run=True),
    "regexReplaceAll": row(_replace, _pattern, scanned, text, run=True),
    "regexReplaceAllLiteral": row(_replace_literal, _pattern, scanned, text, run=True),
    "regexSplit": row(_split, _pattern, scanned, number, run=True),
}
TABLE = {
    **with_must(_ORDINARY),
    "regexQuoteMeta": row(lambda s: _SPECIAL.sub(r"\\\1", s), scanned),
}
