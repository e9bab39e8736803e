"""A mapping of a document, read field by field. What is wrong is noted with its place, not raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from appliance.errors import InvalidInput
from appliance.language.durations import parse_duration
from appliance.language.model import Json
from appliance.language.problems import Problem, Problems
from appliance.language.schemas import check_schema
from appliance.language.suggestions import hint
from appliance.language.yaml import Document, Path

_MISSING = object()


class Section:
    """One mapping. A field that is null counts as absent; a field of the wrong kind too, once noted."""

    def __init__(self, document: Document, problems: Problems, path: Path = ()) -> None:
        self.document = document
        self.problems = problems
        self.path = path
        self._read: set[str] = set()
        self._data: Mapping[str, Json] = document.value(path)

    @classmethod
    def of(cls, document: Document, problems: Problems, path: Path = ()) -> Section | None:
        """Return the mapping at *path*, or None once it is noted that there is none."""
        value = document.value(path)
        if isinstance(value, dict):
            return cls(document, problems, path)
        problems.add(document.problem(path, f"this must be a mapping, not {_kind(value)}"))
        return None

    def error(self, message: str, *steps: str | int) -> None:
        """Note an error at the field that *steps* lead to."""
        self.problems.add(self.document.problem((*self.path, *steps), message))

    def error_at(self, steps: Path, line: int, column: int, message: str) -> None:
        """Note an error inside the text that *steps* lead to; line and column count from 1 there."""
        place = self.document.position((*self.path, *steps), line or 1, column or 1)
        self.problems.add(Problem(self.document.file, *place, message))

    def warn(self, message: str, *steps: str | int) -> None:
        """Note something without effect at the field that *steps* lead to."""
        self.problems.warn(self.document.problem((*self.path, *steps), message))

    @property
    def keys(self) -> frozenset[str]:
        """The fields that are there and not null."""
        return frozenset(key for key, value in self._data.items() if value is not None)

    @property
    def data(self) -> dict[str, Json]:
        """The mapping as it is written."""
        return dict(self._data)

    @property
    def line(self) -> int:
        """The line that the mapping begins in."""
        return self.document.mark(self.path)[0]

    def raw(self, key: str) -> Json:
        """Return a field as it is, without a look at it."""
        return self._data.get(key)

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._data.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        """Return a text; a number or true/false counts as it is written."""
        found = self._scalar(key)
        return default if found is None else found

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None where there is none."""
        return self._scalar(key)

    def needed_text(self, key: str) -> str:
        """Return a text that must be there and not empty."""
        found = self._scalar(key)
        if found is None and not self.has(key):
            self.error(f"{key!r} is missing")
        elif found == "":
            self.error(f"{key!r} must not be empty", key)
        return found or ""

    def choice(self, key: str, options: Iterable[str], default: str) -> str:
        """Return one of *options*."""
        found = self.text(key, default)
        if found in (known := list(options)):
            return found
        self.error(f"{key} {found!r} is not known{hint(found, known) or _among(known)}", key)
        return default

    def flag(self, key: str) -> bool:
        """Return true or false; absent is false."""
        found = self._take(key, "true or false", lambda value: isinstance(value, bool))
        return found is True

    def whole(self, key: str, least: int, default: int, most: int | None = None) -> int:
        """Return a whole number of at least *least* and at most *most*."""
        wanted = f"a whole number {_range(least, most)}"
        right = _within(least, most)
        found = self._take(key, wanted, lambda value: type(value) is int and right(value))
        return default if found is _MISSING else int(found)

    def number(self, key: str, least: float, default: float, most: float | None = None) -> float:
        """Return a number of at least *least* and at most *most*."""
        wanted = f"a number {_range(least, most)}"
        right = _within(least, most)
        found = self._take(key, wanted, lambda value: _is_number(value) and right(value))
        return default if found is _MISSING else float(found)

    def seconds(self, key: str) -> float | None:
        """Return a duration in seconds, or None where there is none."""
        found = self._scalar(key)
        try:
            return None if found is None else parse_duration(found)
        except InvalidInput as error:
            self.error(f"{key}: {error.message}", key)
            return None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        self._take(key, "a list", lambda value: isinstance(value, list))
        return tuple(text for index in self._indexes(key) if (text := self._scalar(key, index)))

    def strings(self, key: str) -> dict[str, str]:
        """Return a mapping of texts."""
        entries = self.values(key) or {}
        return {name: self._scalar(key, name) or "" for name in entries}

    def values(self, key: str) -> dict[str, Json] | None:
        """Return a mapping of any JSON, or None where there is none."""
        found = self._take(key, "a mapping", lambda value: isinstance(value, dict))
        self.refuse_directives(key)
        return None if found is _MISSING else dict(found)

    def value(self, key: str) -> Json:
        """Return any JSON."""
        found = self._take(key, "", lambda _value: True)
        self.refuse_directives(key)
        return None if found is _MISSING else found

    def schema(self, key: str, known: Mapping[str, Json]) -> dict[str, Json] | None:
        """Return a JSON schema, written here or *known* by its id; None where there is none."""
        if isinstance(self._data.get(key), str):
            name = self.text(key)
            if name not in known:
                self.error(f"there is no schema {name!r}{hint(name, known)}", key)
            return known.get(name)
        found = self._take(key, "a JSON schema", lambda value: isinstance(value, dict))
        return None if found is _MISSING else self._checked(found, key)

    def own_schema(self, *other: str) -> dict[str, Json] | None:
        """Return the JSON schema that the mapping itself is, without its *other* fields."""
        schema = {key: value for key, value in self._data.items() if key not in other}
        return self._checked(schema)

    def _checked(self, schema: dict[str, Json], *steps: str) -> dict[str, Json] | None:
        faults = check_schema(schema)
        for path, message in faults:
            self.error(message, *steps, *path)
        return None if faults else dict(schema)

    def section(self, key: str) -> Section | None:
        """Return the mapping in a field, or None where there is none."""
        self._read.add(key)
        return self._inner(key) if self.has(key) else None

    def sections(self, key: str) -> list[Section]:
        """Return the mappings of a list."""
        self._take(key, "a list", lambda value: isinstance(value, list))
        found = (self._inner(key, index) for index in self._indexes(key))
        return [section for section in found if section is not None]

    def entries(self, key: str) -> list[str | Section]:
        """Return a list of texts and mappings."""
        self._take(key, "a list", lambda value: isinstance(value, list))
        found = (
            self._inner(key, index) if isinstance(item, dict) else self._scalar(key, index)
            for index, item in enumerate(self._data[key] if self._indexes(key) else ())
        )
        return [entry for entry in found if entry]

    def finish(self, known: Iterable[str], explain: Callable[[str], str] = lambda _key: "") -> None:
        """Note every key that is neither *known* nor was read; *explain* may say why."""
        allowed = self._read | set(known)
        for key in self._data:
            if key.startswith("$"):
                self.error(f"unsupported directive key {key!r}; name a definition by its id", key)
            elif key not in allowed:
                self.error(explain(key) or f"unknown key {key!r}{hint(key, allowed)}", key)

    def refuse_directives(self, key: str) -> None:
        """Note every key below a field that begins with a dollar sign."""
        for path in _directives(self._data.get(key), (key,)):
            self.error(f"unsupported directive key {path[-1]!r}; use another name", *path)

    def _inner(self, *steps: str | int) -> Section | None:
        return Section.of(self.document, self.problems, (*self.path, *steps))

    def _scalar(self, *steps: str | int) -> str | None:
        """Return a scalar as it is written; None where it is absent, null or not a scalar."""
        self._read.add(str(steps[0]))
        value = self.document.value((*self.path, *steps)) if self.has(str(steps[0])) else None
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, dict | list):
            self.error(f"{steps[0]} must be text, not {_kind(value)}", *steps)
            return None
        return self.document.source((*self.path, *steps))

    def _take(self, key: str, wanted: str, right: Callable[[Json], bool]) -> Json:
        self._read.add(key)
        value = self._data.get(key)
        if value is None:
            return _MISSING
        if not right(value):
            self.error(f"{key} must be {wanted}, not {_kind(value)}", key)
            return _MISSING
        return value

    def _indexes(self, key: str) -> range:
        value = self._data.get(key)
        return range(len(value) if isinstance(value, list) else 0)


def _kind(value: Json) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else repr(value)[:40]


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(least: float, most: float | None) -> str:
    return f"from {least:g}" if most is None else f"from {least:g} to {most:g}"


def _within(least: float, most: float | None) -> Callable[[float], bool]:
    return lambda value: least <= value and (most is None or value <= most)


def _among(known: list[str]) -> str:
    return f"; it is one of {', '.join(known)}"


def _directives(value: Json, path: Path) -> Iterator[Path]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _directives(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("$"):
                yield (*path, key)
            yield from _directives(item, (*path, key))
