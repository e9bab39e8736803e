"""Go's way to write dates: a layout is the moment `Mon Jan 2 15:04:05 MST 2006` in your own form."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

from appliance.language.template.errors import Fault

RFC3339 = "2006-01-02T15:04:05.999999Z07:00"
GO_TEXT = "2006-01-02 15:04:05.999999 -0700 MST"
_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
MONTHS, DAYS = _MONTHS.split(), _DAYS.split()
_LONG = "|".join((*MONTHS, *DAYS))
_SHORT = "|".join(name[:3] for name in (*MONTHS, *DAYS))


class _Element(NamedTuple):
    """One element of a layout: what it says, how it is read, how it is written."""

    unit: str
    pattern: str
    write: Callable[[datetime], str]


_TABLE: dict[str, _Element] = {
    "2006": _Element("year", "[0-9]{4}", lambda t: f"{t.year:04d}"),
    "06": _Element("year", "[0-9]{2}", lambda t: f"{t.year % 100:02d}"),
    "January": _Element("month", _LONG, lambda t: MONTHS[t.month - 1]),
    "Jan": _Element("month", _SHORT, lambda t: MONTHS[t.month - 1][:3]),
    "01": _Element("month", "[0-9]{2}", lambda t: f"{t.month:02d}"),
    "1": _Element("month", "[0-9]{1,2}", lambda t: str(t.month)),
    "Monday": _Element("weekday", _LONG, lambda t: DAYS[t.weekday()]),
    "Mon": _Element("weekday", _SHORT, lambda t: DAYS[t.weekday()][:3]),
    "02": _Element("day", "[0-9]{2}", lambda t: f"{t.day:02d}"),
    "_2": _Element("day", " ?[0-9]{1,2}", lambda t: f"{t.day:2d}"),
    "2": _Element("day", "[0-9]{1,2}", lambda t: str(t.day)),
    "002": _Element("yday", "[0-9]{3}", lambda t: f"{t.timetuple().tm_yday:03d}"),
    "__2": _Element("yday", " {0,2}[0-9]{1,3}", lambda t: f"{t.timetuple().tm_yday:3d}"),
    "15": _Element("hour", "[0-9]{2}", lambda t: f"{t.hour:02d}"),
    "03": _Element("hour", "[0-9]{2}", lambda t: f"{(t.hour + 11) % 12 + 1:02d}"),
    "3": _Element("hour", "[0-9]{1,2}", lambda t: str((t.hour + 11) % 12 + 1)),
    "04": _Element("minute", "[0-9]{2}", lambda t: f"{t.minute:02d}"),
    "4": _Element("minute", "[0-9]{1,2}", lambda t: str(t.minute)),
    "05": _Element("second", "[0-9]{2}", lambda t: f"{t.second:02d}"),
    "5": _Element("second", "[0-9]{1,2}", lambda t: str(t.second)),
    "PM": _Element("half", "AM|PM", lambda t: "AM" if t.hour < 12 else "PM"),
    "pm": _Element("half", "am|pm", lambda t: "am" if t.hour < 12 else "pm"),
    "MST": _Element("zone", "[A-Z]{3,4}", lambda t: t.tzname() or "UTC"),
}
_SIGN = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|01|02|03|04|05|06|15"
    r"|[Z-]07(?::?00){0,2}|PM|pm|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5"
)
_EXTRA = re.compile(r"(?:[.,][0-9]+)?")


def _element(sign: str) -> _Element:
    if sign in _TABLE:
        return _TABLE[sign]
    if sign[0] in "Z-":
        pattern = ("Z|" if sign[0] == "Z" else "") + r"[+-][0-9]{2}(?::?[0-9]{2}){0,2}"
        return _Element("offset", pattern, lambda t: _offset(sign, t))
    pattern = r"(?:[.,][0-9]+)?" if sign[1] == "9" else rf"[.,][0-9]{{{len(sign) - 1}}}"
    return _Element("fraction", pattern, lambda t: _fraction(sign, t))


def _offset(sign: str, moment: datetime) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    if sign[0] == "Z" and not seconds:
        return "Z"
    parts = [abs(seconds) // 3600, abs(seconds) // 60 % 60, abs(seconds) % 60]
    shown = (":" if ":" in sign else "").join(
        f"{part:02d}" for part in parts[: 1 + sign.count("00")]
    )
    return ("-" if seconds < 0 else "+") + shown


def _fraction(sign: str, moment: datetime) -> str:
    digits = f"{moment.microsecond:06d}".ljust(len(sign) - 1, "0")[: len(sign) - 1]
    digits = digits.rstrip("0") if sign[1] == "9" else digits
    return sign[0] + digits if digits else ""


def write(layout: str, moment: datetime) -> str:
    """Return *moment* in the form of *layout*."""
    return _SIGN.sub(lambda found: _element(found[0]).write(moment), layout)


def read(layout: str, text: str) -> datetime:
    """Return the moment that *text* names in *layout*; without an offset it is in UTC.

    The text is read element by element, so no layout can make it slow. Raises Fault.
    """
    found: dict[str, str] = {}
    at = mark = 0
    for sign in _SIGN.finditer(layout):
        at = _skip(layout[mark : sign.start()], text, at)
        mark = sign.end()
        element = _element(sign[0])
        piece = re.compile(element.pattern, re.IGNORECASE).match(text, at)
        if not piece:
            raise Fault(f"the text does not have the form of the layout, at {sign[0]}")
        found[element.unit], at = piece[0].strip(), piece.end()
        extra = _EXTRA.match(text, at)
        if (
            element.unit == "second"
            and extra
            and layout[mark : mark + 2] not in (".9", ",9", ".0", ",0")
        ):
            found["fraction"], at = extra[0], extra.end()
    if _skip(layout[mark:], text, at) != len(text):
        raise Fault("the text goes on after what the layout asks for")
    try:
        return _assembled(found)
    except (ValueError, OverflowError):
        raise Fault("the date does not exist") from None


def _skip(literal: str, text: str, at: int) -> int:
    if not text.startswith(literal, at):
        raise Fault("the text does not have the form of the layout")
    return at + len(literal)


def _assembled(found: dict[str, str]) -> datetime:
    year, month, hour = found.get("year", "1"), found.get("month", "1"), int(found.get("hour", "0"))
    if len(year) == 2:
        year = ("19" if int(year) >= 69 else "20") + year
    if not month.isdigit():
        month = str([name[:3].lower() for name in MONTHS].index(month[:3].lower()) + 1)
    if half := found.get("half", "").upper():
        hour = hour % 12 + (12 if half == "PM" else 0)
    minute, second = int(found.get("minute", "0")), int(found.get("second", "0"))
    micro = int(found.get("fraction", "")[1:7].ljust(6, "0"))
    day, zone = int(found.get("day", "1")), _zone(found.get("offset", "Z"))
    moment = datetime(int(year), int(month), day, hour, minute, second, micro, zone)
    return moment + timedelta(days=int(found.get("yday", "1")) - 1)


def _zone(offset: str) -> tzinfo:
    if offset in ("z", "Z"):
        return UTC
    digits = offset[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    span = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-span if offset[0] == "-" else span)
