"""Text: case, trimming, cutting, wrapping, joining, paths and random words."""

from __future__ import annotations

import posixpath
import re
import string
from typing import Any

from appliance.language.template.functions.signature import (
    Function,
    anything,
    items,
    number,
    printed,
    row,
    scanned,
    text,
)
from appliance.language.template.limits import ITEM, LENGTH, VALUE, Run
from appliance.language.template.printing import quoted
from appliance.language.template.values import is_list, show

_WORD_START = re.compile(r"(?<!\w)\w")
_AFTER_BLANK = re.compile(r"(?<!\S)\S")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\s_-]+")
_SEPARATOR = re.compile(r"[\s_-]+")


def _repeat(run: Run, count: int, part: str) -> str:
    run.build(max(count, 0) * len(part))
    return part * count


def _replace(run: Run, old: str, new: str, source: str) -> str:
    run.build(len(source) + source.count(old) * max(len(new) - len(old), 0))
    return source.replace(old, new)


def _indent(run: Run, width: int, source: str) -> str:
    width = min(max(width, 0), LENGTH)
    run.build((source.count("\n") + 1) * width + len(source))
    pad = " " * width
    return pad + source.replace("\n", "\n" + pad)


def _substring(start: int, end: int, source: str) -> str:
    if start < 0:
        return source[: max(end, 0)]
    return source[start:] if end < 0 else source[start:end]


def _abbreviate(left: int, width: int, source: str) -> str:
    """Cut *source* to *width*, dots included, so that the character at *left* stays visible."""
    if width < 4 or (left > 0 and width < 7) or len(source) <= width:
        return source
    left = min(left, len(source) - (width - 3))
    if left <= 4:
        return source[: width - 3] + "..."
    if left + width - 3 < len(source):
        return "..." + _abbreviate(0, width - 3, source[left:])
    return "..." + source[3 - width :]


def _wrap(run: Run, width: int, source: str, mark: str = "\n", *, cut: bool = False) -> str:
    """Break *source* at the last blank within *width*; *cut* breaks longer words too."""
    width, lines, at = max(width, 1), [], 0
    run.build(len(source) + len(source) // width * (len(mark) + VALUE))
    while len(source) - at > width:
        if source[at] == " ":
            at += 1
            continue
        blank = source.rfind(" ", at, at + width + 1)
        if blank < 0 and not cut:
            blank = source.find(" ", at + width)
            if blank < 0:
                break
        end = blank if blank >= 0 else at + width
        lines.append(source[at:end])
        at = end + (blank >= 0)
    return mark.join([*lines, source[at:]])


def _wrap_with(run: Run, width: int, mark: str, source: str) -> str:
    return _wrap(run, width, source, mark, cut=True)


def _words(mark: str) -> Function:
    return row(lambda source: mark.join(filter(None, _HUMP.split(source))).lower(), scanned)


def _camel(source: str) -> str:
    words = _SEPARATOR.split(source)
    return "".join(w.capitalize() if w.isupper() else w[:1].upper() + w[1:] for w in words)


def _shuffle(run: Run, source: str) -> str:
    run.spend(VALUE * len(source))
    return "".join(run.environment.random.sample(source, len(source)))


def _random(alphabet: str) -> Function:
    def choose(run: Run, count: int) -> str:
        run.build(max(count, 0) * 48)
        return "".join(run.environment.random.choices(alphabet, k=max(count, 0)))

    return row(choose, number, run=True)


def _strings(run: Run, values: Any) -> list[str]:
    listed = values if is_list(values) else [values]
    return [show(value, run) for value in listed if value is not None]


def _join(run: Run, mark: str, values: Any) -> str:
    parts = _strings(run, values)
    run.build(sum(map(len, parts)) + len(mark) * len(parts))
    return mark.join(parts)


def _split(run: Run, mark: str, source: str, count: int = -1) -> list[str]:
    run.spend(4 * ITEM * (source.count(mark) if count < 0 else min(count, len(source))))
    if count == 0:
        return []
    if mark:
        return source.split(mark, count - 1 if count > 0 else -1)
    parts = list(source)
    return parts if count < 0 else [*parts[: count - 1], "".join(parts[count - 1 :])]


def _numbered(run: Run, mark: str, source: str, count: int = -1) -> dict[str, str]:
    return {f"_{place}": part for place, part in enumerate(_split(run, mark, source, count))}


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return "." + name.rpartition(".")[2] if "." in name else ""


def _clean(path: str) -> str:
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


TABLE = {
    "upper": row(str.upper, text),
    "lower": row(str.lower, text),
    "title": row(lambda s: _WORD_START.sub(lambda m: m[0].upper(), s), scanned),
    "untitle": row(lambda s: _AFTER_BLANK.sub(lambda m: m[0].lower(), s), scanned),
    "swapcase": row(str.swapcase, text),
    "snakecase": _words("_"),
    "kebabcase": _words("-"),
    "camelcase": row(_camel, scanned),
    "trim": row(str.strip, text),
    "trimAll": row(lambda chars, s: s.strip(chars), text, text),
    "trimPrefix": row(lambda prefix, s: s.removeprefix(prefix), text, text),
    "trimSuffix": row(lambda suffix, s: s.removesuffix(suffix), text, text),
    "nospace": row(lambda s: "".join(s.split()), text),
    "repeat": row(_repeat, number, text, run=True),
    "replace": row(_replace, text, text, text, run=True),
    "substr": row(_substring, number, number, text),
    "trunc": row(lambda count, s: s[count:] if count < 0 else s[:count], number, text),
    "abbrev": row(lambda width, s: _abbreviate(0, width, s), number, text),
    "abbrevboth": row(_abbreviate, number, number, text),
    "initials": row(lambda s: "".join(word[0] for word in s.split()), scanned),
    "wrap": row(_wrap, number, scanned, run=True),
    "wrapWith": row(_wrap_with, number, text, scanned, run=True),
    "indent": row(_indent, number, text, run=True),
    "nindent": row(lambda run, n, s: "\n" + _indent(run, n, s), number, text, run=True),
    "contains": row(lambda part, s: part in s, text, text),
    "hasPrefix": row(lambda prefix, s: s.startswith(prefix), text, text),
    "hasSuffix": row(lambda suffix, s: s.endswith(suffix), text, text),
    "quote": row(
        lambda run, *v: _join(run, " ", [quoted(s) for s in _strings(run, v)]),
        rest=anything,
        run=True,
    ),
    "squote": row(
        lambda run, *v: _join(run, " ", [f"'{s}'" for s in _strings(run, v)]),
        rest=anything,
        run=True,
    ),
    "cat": row(lambda run, *v: _join(run, " ", v), rest=anything, run=True),
    "plural": row(lambda one, many, count: one if count == 1 else many, text, text, number),
    "shuffle": row(_shuffle, scanned, run=True),
    "toString": row(lambda s: s, printed),
    "toStrings": row(_strings, anything, run=True),
    "join": row(_join, text, anything, run=True),
    "split": row(_numbered, text, text, run=True),
    "splitn": row(lambda run, m, n, s: _numbered(run, m, s, n), text, number, text, run=True),
    "splitList": row(_split, text, text, run=True),
    "sortAlpha": row(lambda run, values: sorted(_strings(run, values)), items, run=True),
    "randAlphaNum": _random(string.ascii_letters + string.digits),
    "randAlpha": _random(string.ascii_letters),
    "randNumeric": _random(string.digits),
    "randAscii": _random("".join(map(chr, range(32, 127)))),
    # paths
    "base": row(lambda path: path.rstrip("/").rpartition("/")[2] or path[:1] or ".", text),
    "dir": row(lambda path: _clean(path.rpartition("/")[0] or path[: path.startswith("/")]), text),
    "clean": row(_clean, text),
    "ext": row(_extension, text),
    "isAbs": row(lambda path: path.startswith("/"), text),
}
TABLE["trimall"] = TABLE["trimAll"]
for _name in ("base", "dir", "clean", "ext", "isAbs"):
    TABLE[f"os{_name[0].upper()}{_name[1:]}"] = TABLE[_name]
