"""`print`, `println`, `printf` and Go's quoted text."""

from __future__ import annotations

import re
from typing import Any

from appliance.language.template.errors import Fault
from appliance.language.template.limits import WIDTH, Run
from appliance.language.template.values import go_type, is_list, is_map, is_number, show, show_float

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|[0-9]+)?(?:\.(?P<precision>\*|[0-9]*))?"
    r"(?:\[(?P<index>[0-9]{1,6})\])?(?P<verb>.|$)",
    re.DOTALL,
)
_ESCAPES = {ord(char): f"\\{name}" for char, name in zip("\a\b\f\n\r\t\v\\", "abfnrtv\\", strict=True)}
_BASES = {"d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "o": "0", "O": "0o", "x": "0x", "X": "0X"}


def quoted(text: str, mark: str = '"') -> str:
    """Return *text* between *mark*s, with Go's escapes."""
    escaped = text.translate({**_ESCAPES, ord(mark): f"\\{mark}"})
    if not escaped.isprintable():
        escaped = "".join(char if char.isprintable() else _escape(ord(char)) for char in escaped)
    return f"{mark}{escaped}{mark}"


def _escape(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def sprint(run: Run, *values: Any) -> str:
    """Print *values* with a blank between two that are both no text."""
    parts: list[str] = []
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            parts.append(" ")
        parts.append(show(value, run))
    return "".join(parts)


def sprintln(run: Run, *values: Any) -> str:
    """Print *values* with blanks between them and a line feed."""
    return " ".join([show(value, run) for value in values]) + "\n"


def sprintf(run: Run, layout: str, *values: Any) -> str:
    """Print *values* in *layout*; a mistake shows in the text as in Go, like `%!d(string=x)`."""
    arguments = _Arguments(values)

    def verb(found: re.Match[str]) -> str:
        if found["verb"] in ("%", ""):
            return "%" if found["verb"] else "%!(NOVERB)"
        width, precision = arguments.size(found["width"]), arguments.size(found["precision"])
        run.spend(10 + abs(width or 0) + abs(precision or 0))
        if not arguments.seek(found["index"]):
            return f"%!{found['verb']}({'BADINDEX' if found['index'] else 'MISSING'})"
        value = arguments.next()
        flags = found["flags"] + ("-" if width and width < 0 else "")
        shown = _convert(run, found["verb"], flags, precision, value)
        return _padded(shown, flags, abs(width or 0), zeros=is_number(value))

    shown = _VERB.sub(verb, layout)
    extra = ", ".join([f"{go_type(value)}={show(value, run)}" for value in arguments.left()])
    return f"{shown}%!(EXTRA {extra})" if extra else shown


class _Arguments:
    """The values that verbs take one after the other, or by number: `%[1]s`."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values, self.position, self.reordered = values, 0, False

    def seek(self, index: str | None) -> bool:
        if index:
            self.reordered, self.position = True, int(index) - 1
        return 0 <= self.position < len(self.values)

    def next(self) -> Any:
        self.position += 1
        return self.values[self.position - 1]

    def left(self) -> tuple[Any, ...]:
        return () if self.reordered else self.values[self.position :]

    def size(self, spec: str | None) -> int | None:
        if spec is None:
            return None
        size = (self.next() if self.seek(None) else 0) if spec == "*" else int(spec[:9] or "0")
        if not isinstance(size, int) or abs(size) > WIDTH:
            raise Fault(f"a width or precision must be a whole number up to {WIDTH}")
        return int(size)


def _padded(shown: str, flags: str, width: int, *, zeros: bool) -> str:
    if "-" in flags:
        return shown.ljust(width)
    if "0" in flags and zeros and shown[-1:] not in "fN":
        sign = shown[:1] if shown[:1] in ("+", "-", " ") else ""
        return sign + shown[len(sign) :].rjust(width - len(sign), "0")
    return shown.rjust(width)


def _convert(run: Run, verb: str, flags: str, precision: int | None, value: Any) -> str:
    if verb == "v":
        if "#" in flags:
            return quoted(value) if isinstance(value, str) else show(value, run)
        return _signed(show(value, run), flags, value)
    if verb == "T":
        return go_type(value)
    if (is_list(value) or is_map(value)) and verb in "sdxXqfegt":
        return _nested(run, verb, flags, precision, value)
    shown = None
    if isinstance(value, bool):
        shown = show(value, run) if verb == "t" else None
    elif isinstance(value, int):
        shown = _integer(verb, flags, precision, value)
    elif isinstance(value, float):
        shown = _float(verb, precision, value)
    elif isinstance(value, str):
        shown = _text(run, verb, flags, precision, value)
    elif value is not None and verb == "s":
        shown = show(value, run)
    if shown is None:
        what = "<nil>" if value is None else f"{go_type(value)}={show(value, run)}"
        return f"%!{verb}({what})"
    return _signed(shown, flags, value)


def _signed(shown: str, flags: str, value: Any) -> str:
    if is_number(value) and shown[:1] not in ("-", "+", "'", "U"):
        return ("+" if "+" in flags else " " if " " in flags else "") + shown
    return shown


def _nested(run: Run, verb: str, flags: str, precision: int | None, value: Any) -> str:
    run.spend(640)
    if is_map(value):
        pairs = [
            f"{_convert(run, verb, flags, precision, key)}:"
            f"{_convert(run, verb, flags, precision, value[key])}"
            for key in sorted(value)
        ]
        return "map[" + " ".join(pairs) + "]"
    return "[" + " ".join([_convert(run, verb, flags, precision, item) for item in value]) + "]"


def _integer(verb: str, flags: str, precision: int | None, value: int) -> str | None:
    if verb in "cqU":
        if not 0 <= value < 0x110000 or 0xD800 <= value < 0xE000:
            value = 0xFFFD
        return {"c": chr(value), "q": quoted(chr(value), "'")}.get(verb, f"U+{value:04X}")
    if verb not in _BASES:
        return None
    prefix = _PREFIXES.get(verb, "") if "#" in flags or verb == "O" else ""
    digits = format(abs(value), _BASES[verb]).rjust(precision or 0, "0")
    return ("-" if value < 0 else "") + prefix + digits


def _float(verb: str, precision: int | None, value: float) -> str | None:
    if verb not in "eEfFgG":
        return None
    if verb in "gG" and precision is None:
        shown = show_float(value)
        return shown.upper() if verb == "G" else shown
    return format(value, f".{6 if precision is None else precision}{verb}")


def _text(run: Run, verb: str, flags: str, precision: int | None, value: str) -> str | None:
    run.spend(len(value))
    cut = value[:precision]
    if verb == "s":
        return cut
    if verb == "q":
        return f"`{cut}`" if "#" in flags and "`" not in cut else quoted(cut)
    if verb in "xX":
        shown = value.encode("utf-8", "surrogatepass").hex(*(" ",) * (" " in flags))
        return shown.upper() if verb == "X" else shown
    return None
