"""Named queries: every `.sql` file beside the repositories, compiled once for a dialect.

A block is `-- name: finish_task`, one or more lines that say what for, and the statement:

    -- name: claim_task (postgres)
    -- Takes the oldest task that nobody works on.
    UPDATE ... WHERE id = :id

A query has one text for both databases, or one `(sqlite)` and one `(postgres)`. What only one of
them needs at all says so: `(postgres only)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

DIALECTS = ("sqlite", "postgres")

_HEADER = re.compile(r"^-- name: *(.*)$", re.MULTILINE)
_NAME = re.compile(r"([a-z][a-z0-9_]*)(?: \((sqlite|postgres)( only)?\))?")
_PURPOSE = re.compile(r"(?:-- \S.*\n)+")
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|::|:([a-zA-Z_]\w*)|%", re.DOTALL)


class Query(NamedTuple):
    """A block of a `.sql` file. An empty dialect means both."""

    name: str
    dialect: str
    only: bool
    purpose: str
    text: str


@cache
def load(dialect: str) -> Mapping[str, str]:
    """Return the text of every query of the program by name, ready for the driver of *dialect*."""
    return compiled(every(), dialect)


@cache
def every() -> tuple[Query, ...]:
    """Return every query of the program. Raises ValueError when a file breaks the rules."""
    found = [
        query
        for file in sorted(files("appliance.store").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sql")
        for query in parse(file.read_text(encoding="utf-8"), file.name)
    ]
    verify(found)
    return tuple(found)


def parse(text: str, file: str) -> list[Query]:
    """Return the blocks of one file. Raises ValueError."""
    before, *parts = _HEADER.split(text)
    if before.strip():
        raise ValueError(f"{file} begins with something else than `-- name: ...`")
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [_block(header.strip(), body.lstrip("\n"), file) for header, body in pairs]


def verify(queries: Iterable[Query]) -> None:
    """Raise ValueError when a query is there twice, or for one database without the other."""
    dialects: dict[str, list[str]] = {}
    for query in queries:
        dialects.setdefault(query.name, []).append(query.dialect + " only" * query.only)
    for name, found in dialects.items():
        if len(found) != 1 and sorted(found) != sorted(DIALECTS):
            raise ValueError(f"query {name!r} is defined more than once: {found}")
        if found[0] in DIALECTS and len(found) == 1:
            raise ValueError(
                f"query {name!r} exists for {found[0]} alone; write the other, or `only`"
            )


def compiled(queries: Iterable[Query], dialect: str) -> dict[str, str]:
    """Return the texts for *dialect* by name, with parameters in the form its driver wants."""
    chosen = {query.name: query.text for query in queries if query.dialect in ("", dialect)}
    return chosen if dialect == "sqlite" else {n: _for_psycopg(text) for n, text in chosen.items()}


def encoded(texts: Mapping[str, str]) -> dict[str, bytes]:
    """Return texts as psycopg takes them: those of a program, not of a user."""
    return {name: text.encode() for name, text in texts.items()}


def _block(header: str, body: str, file: str) -> Query:
    name = _NAME.fullmatch(header)
    purpose = _PURPOSE.match(body)
    if name is None or purpose is None:
        raise ValueError(f"{file}: `-- name: {header}` needs a good name and a line of purpose")
    statement = body[purpose.end() :].strip().rstrip(";").strip()
    if not statement:
        raise ValueError(f"{file}: {header} has no statement")
    return Query(name[1], name[2] or "", bool(name[3]), purpose[0].strip(), statement)


def _for_psycopg(text: str) -> str:
    return _TOKEN.sub(_placeholder, text)


def _placeholder(token: re.Match[str]) -> str:
    # psycopg reads `%` everywhere, in quoted text and comments too
    return f"%({token[1]})s" if token[1] else token[0].replace("%", "%%")
