"""Go's way to write dates: a layout is the moment `Mon Jan 2 15:04:05 MST 2006` in your own form."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from appliance.language.template.errors import Fault

RFC3339 = "2006-01-02T15:04:05.999999Z07:00"
GO_TEXT = "2006-01-02 15:04:05.999999 -0700 MST"
_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
MONTHS, DAYS = _MONTHS.split(), _DAYS.split()
_ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|01|02|03|04|05|06|15"
    r"|(?:Z|-)07(?::?00)?(?::?00)?|PM|pm|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5"
)


def _offset(element: str, moment: datetime) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    if element[0] == "Z" and not seconds:
        return "Z"
    hours, rest = divmod(abs(seconds), 3600)
    parts = [f"{hours:02d}", f"{rest // 60:02d}", f"{rest % 60:02d}"]
    colon = ":" if ":" in element else ""
    shown = colon.join(parts[: 1 + element.count("00")])
    return ("-" if seconds < 0 else "+") + shown


def _fraction(element: str, moment: datetime) -> str:
    digits = f"{moment.microsecond:06d}".ljust(len(element) - 1, "0")[: len(element) - 1]
    if element[1] == "9":
        digits = digits.rstrip("0")
    return element[0] + digits if digits else ""


_WRITE: dict[str, Callable[[datetime], str]] = {
    "January": lambda t: MONTHS[t.month - 1],
    "Jan": lambda t: MONTHS[t.month - 1][:3],
    "Monday": lambda t: DAYS[t.weekday()],
    "Mon": lambda t: DAYS[t.weekday()][:3],
    "MST": lambda t: t.tzname() or "UTC",
    "2006": lambda t: f"{t.year:04d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "01": lambda t: f"{t.month:02d}",
    "1": lambda t: str(t.month),
    "02": lambda t: f"{t.day:02d}",
    "_2": lambda t: f"{t.day:2d}",
    "2": lambda t: str(t.day),
    "002": lambda t: f"{t.timetuple().tm_yday:03d}",
    "__2": lambda t: f"{t.timetuple().tm_yday:3d}",
    "15": lambda t: f"{t.hour:02d}",
    "03": lambda t: f"{(t.hour + 11) % 12 + 1:02d}",
    "3": lambda t: str((t.hour + 11) % 12 + 1),
    "04": lambda t: f"{t.minute:02d}",
    "4": lambda t: str(t.minute),
    "05": lambda t: f"{t.second:02d}",
    "5": lambda t: str(t.second),
    "PM": lambda t: "AM" if t.hour < 12 else "PM",
    "pm": lambda t: "am" if t.hour < 12 else "pm",
}


def write(layout: str, moment: datetime) -> str:
    """Return *moment* in the form of *layout*."""

    def element(found: re.Match[str]) -> str:
        sign = found[0]
        if sign in _WRITE:
            return _WRITE[sign](moment)
        return (_fraction if sign[0] in ".," else _offset)(sign, moment)

    return _ELEMENT.sub(element, layout)


_NAMES = "|".join((*MONTHS, *DAYS))
_SHORT = "|".join(name[:3] for name in (*MONTHS, *DAYS))
_READ = {
    "January": _NAMES,
    "Monday": _NAMES,
    "Jan": _SHORT,
    "Mon": _SHORT,
    "MST": "[A-Z]{3,4}",
    "2006": "[0-9]{4}",
    "002": "[0-9]{3}",
    "__2": " {0,2}[0-9]{1,3}",
    "_2": " ?[0-9]{1,2}",
    "15": "[0-9]{2}",
    "PM": "AM|PM",
    "pm": "am|pm",
}
_EXTRA = re.compile(r"(?:[.,][0-9]+)?")
_FRACTIONS = (".0", ",0", ".9", ",9")
_UNITS = {
    **dict.fromkeys(("2006", "06"), "year"),
    **dict.fromkeys(("January", "Jan", "01", "1"), "month"),
    **dict.fromkeys(("02", "_2", "2"), "day"),
    **dict.fromkeys(("002", "__2"), "yday"),
    **dict.fromkeys(("15", "03", "3"), "hour"),
    **dict.fromkeys(("04", "4"), "minute"),
    **dict.fromkeys(("05", "5"), "second"),
    **dict.fromkeys(("PM", "pm"), "half"),
    "MST": "zone",
}


def _pattern(element: str) -> str:
    if element[0] in "Z-":
        return ("Z|" if element[0] == "Z" else "") + r"[+-][0-9]{2}(?::?[0-9]{2}){0,2}"
    if element[0] in ".,":
        return rf"(?:[.,][0-9]{{{len(element) - 1}}})" if element[1] == "0" else r"(?:[.,][0-9]+)?"
    return _READ.get(element, "[0-9]{2}" if len(element) == 2 else "[0-9]{1,2}")


def read(layout: str, text: str, zone: tzinfo = UTC) -> datetime:
    """Return the moment that *text* names in *layout*; without an offset it is in *zone*.

    The text is read element by element, so no layout can make it slow. Raises Fault.
    """
    found: dict[str, str] = {}
    at = mark = 0
    for element in [*_ELEMENT.finditer(layout), None]:
        literal = layout[mark : element.start()] if element else layout[mark:]
        if not text.startswith(literal, at):
            raise Fault("the text does not have the form of the layout")
        at += len(literal)
        if element is None:
            break
        piece = re.compile(_pattern(element[0]), re.IGNORECASE).match(text, at)
        if not piece:
            raise Fault(f"the text does not have the form of the layout (at {element[0]})")
        unit = _UNITS.get(element[0], "fraction" if element[0][0] in ".," else "offset")
        found[unit] = piece[0].strip()
        at, mark = piece.end(), element.end()
        if unit == "second" and layout[mark : mark + 2] not in _FRACTIONS:
            extra = _EXTRA.match(text, at)
            found["fraction"], at = extra[0], extra.end()  # type: ignore[index, union-attr]
    if at != len(text):
        raise Fault("the text goes on after what the layout asks for")
    return _assemble(found, zone)


def _assemble(found: dict[str, str], zone: tzinfo) -> datetime:
    year = found.get("year", "1")
    if len(year) == 2:
        year = ("19" if int(year) >= 69 else "20") + year
    month = found.get("month", "1")
    if not month.isdigit():
        month = str([name[:3].lower() for name in MONTHS].index(month[:3].lower()) + 1)
    hour = int(found.get("hour", "0"))
    if half := found.get("half", "").upper():
        hour = hour % 12 + (12 if half == "PM" else 0)
    if "offset" in found:
        zone = _zone(found["offset"])
    try:
        moment = datetime(
            int(year), int(month), int(found.get("day", "1")), hour,
            int(found.get("minute", "0")), int(found.get("second", "0")),
            int(found.get("fraction", ".")[1:7].ljust(6, "0")), zone,
        )  # fmt: skip
        return moment + timedelta(days=int(found.get("yday", "1")) - 1)
    except (ValueError, OverflowError):
        raise Fault("the date does not exist") from None


def _zone(offset: str) -> tzinfo:
    if offset in "zZ":
        return UTC
    digits = offset[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise Fault("the date does not exist")
    span = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-span if offset[0] == "-" else span)
