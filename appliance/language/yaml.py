"""YAML as a project may use it: plain data with the place of every value, and nothing surprising.

Scalars follow the core schema of YAML 1.2, so `no`, `on` and `1:20` are text. What makes a document
mean something else than it shows (anchors, tags, merge keys, duplicate keys) is refused, and so is
what JSON or a database cannot hold. Reading costs no recursion, whatever the text.
"""

from __future__ import annotations

import pathlib
import re
from typing import Any, NoReturn

import msgspec

from appliance.errors import Overloaded
from appliance.language.model import Json
from appliance.language.problems import InvalidDocument, Problem

MAX_BYTES = 10_485_760
MAX_DEPTH = 100
MAX_VALUES = 200_000

Path = tuple[str | int, ...]

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Node(msgspec.Struct):
    """A value and where it stands; lines and columns count from 0."""

    line: int
    column: int
    text: str | None = None
    """A scalar as written."""
    style: str = ""
    """How a scalar is written: plain, or the sign it begins with."""
    one_line: bool = True
    keys: dict[str, tuple[int, int]] | None = None
    """Where the keys of a mapping stand."""
    children: dict[str, Node] | list[Node] | None = None


class Document:
    """A file that was read: its data, and where everything in it stands."""

    def __init__(self, file: str, data: Json, root: Node, lines: list[str]) -> None:
        self.file = file
        self.data = data
        self._root = root
        self._lines = lines

    def value(self, path: Path) -> Json:
        """Return what stands at *path*, which must be there."""
        value = self.data
        for step in path:
            value = value[step]
        return value

    def mark(self, path: Path) -> tuple[int, int]:
        """Return line and column, from 1, of the key or list item at *path*, or of what holds it."""
        parent, node = self._walk(path)
        found = (node.line, node.column)
        if parent is not None and parent.keys and isinstance(path[-1], str):
            found = parent.keys.get(path[-1], found)
        return found[0] + 1, found[1] + 1

    def position(self, path: Path, line: int = 1, column: int = 1) -> tuple[int, int]:
        """Return where, in the file, *line* and *column* of the text at *path* stand.

        Texts that YAML folds or escapes are not mapped: their beginning is returned.
        """
        node = self._walk(path)[1]
        if node.style == "|" and node.line + line < len(self._lines):
            content = self._lines[node.line + line]
            first = self._lines[node.line + 1]
            indent = len(first) - len(first.lstrip(" "))
            return node.line + line + 1, min(indent + column, len(content) + 1)
        quoted = node.style in ("'", '"')
        plain = node.one_line and not node.style
        simple = quoted and node.one_line and node.text is not None and _unescaped(node)
        offset = column - 1 + quoted if line == 1 and (plain or simple) else 0
        return node.line + 1, node.column + 1 + offset

    def source(self, path: Path) -> str | None:
        """Return the scalar at *path* as it is written, or None for anything else."""
        return self._walk(path)[1].text

    def problem(self, path: Path, message: str) -> Problem:
        """Return *message* as a problem of the key or item at *path*."""
        return Problem(self.file, *self.mark(path), message)

    def _walk(self, path: Path) -> tuple[Node | None, Node]:
        parent, node = None, self._root
        for step in path:
            children: Any = node.children
            known = step in children if isinstance(children, dict) else isinstance(step, int)
            if children is None or not known:
                return None, node
            parent, node = node, children[step]
        return parent, node


def _unescaped(node: Node) -> bool:
    """Whether every character of a quoted text stands for itself."""
    assert node.text is not None
    return "\\" not in node.text and node.style not in node.text and node.text.isprintable()


def load(text: str, file: str) -> Document:
    """Read the one YAML document in *text*; *file* is the name to show. An empty text is None.

    Raises InvalidDocument with file, line and column.
    """
    import yaml

    _refuse_unreadable(text, file)
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (-1, -1)
        _refuse(file, line, column, f"not valid YAML: {error.problem or error.context}")
    except (yaml.YAMLError, ValueError):
        _refuse(file, -1, -1, "not valid YAML")
    root = builder.root or Node(0, 0, "")
    return Document(file, builder.data, root, text.splitlines())


def read(path: pathlib.Path, file: str) -> Document:
    """Read the file at *path*. Raises InvalidDocument, also when it cannot be read."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        if lack := Overloaded.by(error):
            raise lack from error
        _refuse(file, -1, -1, f"cannot be read: {error.strerror}")
    _refuse_large(len(raw), file)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        message = "this byte is not UTF-8 text; save the file as UTF-8"
        _refuse(file, *_place(before, len(before)), message)
    return load(text, file)


class _Builder:
    """Builds data and nodes from the parser's events, one container on a stack at a time."""

    def __init__(self, file: str) -> None:
        self.data: Json = None
        self.root: Node | None = None
        self._file = file
        self._stack: list[tuple[Any, Node]] = []
        self._keys: list[str | None] = []
        """The key that waits for its value, for each mapping on the stack."""
        self._count = 0

    def take(self, event: Any) -> None:
        handler = _HANDLERS.get(type(event).__name__)
        if handler is not None:
            handler(self, event)

    def document(self, event: Any) -> None:
        if self.root is not None:
            self._refuse(event, "a file holds one document; remove what follows '---'")

    def alias(self, event: Any) -> None:
        self._refuse(event, f"aliases are not supported; write out what *{event.anchor} stands for")

    def scalar(self, event: Any) -> None:
        self._check(event)
        if self._waits_for_key():
            self._take_key(event)
            return
        start, style = event.start_mark, event.style or ""
        value = event.value if style or not event.implicit[0] else self._resolve(event)
        if isinstance(value, str) and "\0" in value:
            self._refuse(event, "text cannot hold the character U+0000")
        one_line = event.end_mark.line == start.line
        self._put(value, Node(start.line, start.column, event.value, style, one_line))

    def sequence(self, event: Any) -> None:
        self._open(event, [], Node(event.start_mark.line, event.start_mark.column, children=[]))

    def mapping(self, event: Any) -> None:
        start = event.start_mark
        self._open(event, {}, Node(start.line, start.column, keys={}, children={}))

    def close(self, _event: Any) -> None:
        self._stack.pop()
        self._keys.pop()

    def _open(self, event: Any, value: Any, node: Node) -> None:
        self._check(event)
        if self._waits_for_key():
            self._refuse(event, "a key must be text")
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(event, f"values are nested more than {MAX_DEPTH} deep")
        self._put(value, node)
        self._stack.append((value, node))
        self._keys.append(None)

    def _check(self, event: Any) -> None:
        self._count += 1
        if self._count > MAX_VALUES:
            self._refuse(event, f"the document has more than {MAX_VALUES} values")
        if event.anchor is not None:
            self._refuse(event, f"anchors are not supported; remove &{event.anchor}")
        if event.tag is not None:
            self._refuse(
                event,
                f"tags are not supported; remove {_shown(event.tag.replace('tag:yaml.org,2002:', '!!'))}",
            )

    def _waits_for_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1][0], dict) and self._keys[-1] is None

    def _take_key(self, event: Any) -> None:
        mapping, node = self._stack[-1]
        key, start, keys = event.value, event.start_mark, node.keys
        assert keys is not None
        if key == "<<" and not event.style:
            self._refuse(event, "merge keys (<<) are not supported; write the fields out")
        if "\0" in key or (not key and not event.style):
            self._refuse(event, "a key must be text")
        if key in mapping:
            line = keys[key][0] + 1
            self._refuse(event, f"the key {_shown(key)!r} is there twice, first in line {line}")
        keys[key] = (start.line, start.column)
        self._keys[-1] = key

    def _put(self, value: Json, node: Node) -> None:
        if not self._stack:
            self.data, self.root = value, node
            return
        container, parent = self._stack[-1]
        children: Any = parent.children
        if isinstance(container, list):
            container.append(value)
            children.append(node)
            return
        key = self._keys[-1]
        container[key] = value
        children[key] = node
        self._keys[-1] = None

    def _resolve(self, event: Any) -> Json:
        """Return what a plain scalar means in the core schema of YAML 1.2."""
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if INTEGER.fullmatch(text):
            return self._integer(event, text)
        if FLOAT.fullmatch(text):
            value = float(text)
            if value in (float("inf"), float("-inf")):
                self._refuse(event, f"the number {_shown(text)} is too large")
            return value
        if _NOT_FINITE.fullmatch(text):
            self._refuse(event, f"{text} is not a number that JSON knows; quote it if it is text")
        return text

    def _integer(self, event: Any, text: str) -> int:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        value = int(text, base) if len(text) <= 66 else 1 << 64
        if not -(1 << 63) <= value < 1 << 63:
            self._refuse(event, f"the number {_shown(text)} does not fit 64 bits; quote it")
        return value

    def _refuse(self, event: Any, message: str) -> NoReturn:
        _refuse(self._file, event.start_mark.line, event.start_mark.column, message)


_HANDLERS = {
    "DocumentStartEvent": _Builder.document,
    "AliasEvent": _Builder.alias,
    "ScalarEvent": _Builder.scalar,
    "SequenceStartEvent": _Builder.sequence,
    "SequenceEndEvent": _Builder.close,
    "MappingStartEvent": _Builder.mapping,
    "MappingEndEvent": _Builder.close,
}


def _refuse_unreadable(text: str, file: str) -> None:
    _refuse_large(len(text), file)
    found = _FORBIDDEN.search(text)
    if found:
        name = f"the character U+{ord(found[0]):04X} is not allowed"
        _refuse(file, *_place(text, found.start()), name)


def _refuse_large(size: int, file: str) -> None:
    if size > MAX_BYTES:
        _refuse(file, -1, -1, f"the file is larger than {MAX_BYTES} bytes")


def _place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 0, of a character."""
    return text.count("\n", 0, offset), offset - (text.rfind("\n", 0, offset) + 1)


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _refuse(file: str, line: int, column: int, message: str) -> NoReturn:
    raise InvalidDocument(Problem(file, line + 1, column + 1, message)) from None
