"""`print`, `println`, `printf` and Go's quoted text."""

from __future__ import annotations

import re
from typing import Any

from appliance.language.template.errors import Fault
from appliance.language.template.limits import STEP, WIDTH, Run
from appliance.language.template.values import go_type, is_list, is_map, is_number, show, show_float

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|[0-9]{1,6})?(?:\.(?P<precision>\*|[0-9]{0,6}))?"
    r"(?:\[(?P<index>[0-9]{1,6})\])?(?P<verb>.?)",
    re.DOTALL,
)
_ESCAPES = {
    ord(char): f"\\{name}" for char, name in zip("\a\b\f\n\r\t\v\\", "abfnrtv\\", strict=True)
}
_PREFIXES = {"b": "0b", "o": "0", "O": "0o", "x": "0x", "X": "0X", "d": ""}


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
        shown = _converted(run, found["verb"], flags, precision, value)
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
        size = (self.next() if self.seek(None) else None) if spec == "*" else int(spec or "0")
        if not isinstance(size, int) or abs(size) > WIDTH:
            raise Fault(f"a width or precision must be a whole number up to {WIDTH}")
        return int(size)


def _padded(shown: str, flags: str, width: int, *, zeros: bool) -> str:
    if "-" in flags:
        return shown.ljust(width)
    if "0" in flags and zeros:
        sign = shown[:1] if shown[:1] in ("+", "-", " ") else ""
        return sign + shown[len(sign) :].rjust(width - len(sign), "0")
    return shown.rjust(width)


def _converted(run: Run, verb: str, flags: str, precision: int | None, value: Any) -> str:
    """Return *value* as *verb* asks for it; lists and maps pass the verb on to what they hold."""
    run.spend(STEP)
    if verb == "T":
        return go_type(value)
    if verb != "v" and (is_list(value) or is_map(value)):
        parts = [_converted(run, verb, flags, precision, item) for item in value]
        if is_list(value):
            return f"[{' '.join(parts)}]"
        values = [_converted(run, verb, flags, precision, value[key]) for key in value]
        pairs = sorted(zip(parts, values, strict=True))
        return f"map[{' '.join(f'{key}:{item}' for key, item in pairs)}]"
    shown = _shown(run, verb, flags, precision, value)
    if shown is None:
        what = "<nil>" if value is None else f"{go_type(value)}={show(value, run)}"
        return f"%!{verb}({what})"
    if is_number(value) and verb not in "cqU" and not shown.startswith(("-", "+")):
        return ("+" if "+" in flags else " " if " " in flags else "") + shown
    return shown


def _shown(run: Run, verb: str, flags: str, precision: int | None, value: Any) -> str | None:
    """Return *value* in the form of *verb*, or None when they do not fit."""
    if verb == "v":
        return quoted(value) if "#" in flags and isinstance(value, str) else show(value, run)
    if isinstance(value, bool):
        return show(value, run) if verb == "t" else None
    if isinstance(value, int):
        return _integer(verb, flags, precision or 0, value)
    if isinstance(value, float):
        return _float(verb, precision, value)
    if isinstance(value, str):
        return _text(run, verb, flags, value[:precision] if verb in "sq" else value)
    return show(value, run) if value is not None and verb == "s" else None


def _integer(verb: str, flags: str, precision: int, value: int) -> str | None:
    if verb in "cqU":
        known = 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000
        char = chr(value) if known else "\ufffd"
        return {"c": char, "q": quoted(char, "'")}.get(verb, f"U+{value:04X}")
    if verb not in _PREFIXES:
        return None
    prefix = _PREFIXES[verb] if "#" in flags or verb == "O" else ""
    digits = format(abs(value), verb.replace("O", "o")).rjust(precision, "0")
    return ("-" if value < 0 else "") + prefix + digits


def _float(verb: str, precision: int | None, value: float) -> str | None:
    if verb not in "eEfFgG":
        return None
    if verb in "gG" and precision is None:
        return show_float(value) if verb == "g" else show_float(value).upper()
    return format(value, f".{6 if precision is None else precision}{verb}")


def _text(run: Run, verb: str, flags: str, value: str) -> str | None:
    run.spend(len(value))
    if verb in "xX":
        data = value.encode("utf-8", "surrogatepass")
        shown = data.hex(" ") if " " in flags else data.hex()
        return shown.upper() if verb == "X" else shown
    if verb == "q":
        return f"`{value}`" if "#" in flags and "`" not in value else quoted(value)
    return value if verb == "s" else None
