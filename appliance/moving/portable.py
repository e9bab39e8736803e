"""Portable archives: every table as lines of JSON, the same from either database.

There is no time and no name of a machine in one: the same rows are the same bytes.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import msgspec

from appliance.backup import sealed
from appliance.errors import DamagedArchive
from appliance.store.database import Param, Row

FORMAT = 1
LONGEST = 64 << 20
"""Bytes of a row. No row is near it; a line without end must not fill the memory."""

Line = Mapping[str, Param]
_row = msgspec.json.Decoder(dict[str, str | int | float | None]).decode


class Table(msgspec.Struct, frozen=True):
    """What a table holds: its rows, and the length and SHA-256 of their lines."""

    rows: int
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds: tables by name, in a schema with this number."""

    format: int
    schema: int
    tables: dict[str, Table]


class Sum:
    """Counts lines and their bytes as they pass."""

    def __init__(self) -> None:
        self._rows = self._size = 0
        self._digest = hashlib.sha256()

    def add(self, line: bytes) -> None:
        """Count a line, which ends in a line feed."""
        self._rows += 1
        self._size += len(line)
        self._digest.update(line)

    @property
    def table(self) -> Table:
        """What was counted so far."""
        return Table(self._rows, self._size, self._digest.hexdigest())


def line_of(row: Row) -> bytes:
    """Return a row as the one line that it is in every archive."""
    return msgspec.json.encode({name: row[name] for name in sorted(row.keys())}) + b"\n"


def measure(lines: Iterable[bytes]) -> Table:
    """Return what a table holds without keeping it."""
    found = Sum()
    for line in lines:
        found.add(line)
    return found.table


def write(file: IO[bytes], tables: Iterable[tuple[str, Iterable[bytes]]], schema: int) -> Manifest:
    """Write an archive of *tables*, each with its lines, to *file*, which is empty."""
    with sealed.written(file) as archive:
        found = {name: _add(archive, name, lines) for name, lines in tables}
        manifest = Manifest(FORMAT, schema, found)
        sealed.write_manifest(archive, manifest)
    return manifest


class Portable:
    """An archive whose seal, structure and manifest were found right. Made by `read`."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    def rows(self, table: str) -> Iterator[Line]:
        """Yield the rows of a table. Raises: DamagedArchive, at the end where they are others."""
        with sealed.damage_is_told(), self._archive.open(_member(table)) as source:
            found = Sum()
            while line := source.readline(LONGEST):
                found.add(line)
                yield _row(line)
            if found.table != self.manifest.tables[table]:
                raise DamagedArchive(f"{table} in the archive is not what its manifest says.")


@contextmanager
def read(file: IO[bytes]) -> Iterator[Portable]:
    """Check the seal, the structure and the manifest of *file*, then give access to it.

    Raises: DamagedArchive; DatabaseTooNew when a newer program made the archive.
    """
    with sealed.opened(file) as archive:
        with sealed.damage_is_told():
            manifest = sealed.read_manifest(archive, Manifest, FORMAT)
            sealed.check_members(archive, [sealed.MANIFEST, *map(_member, manifest.tables)])
        yield Portable(archive, manifest)


def _add(archive: zipfile.ZipFile, table: str, lines: Iterable[bytes]) -> Table:
    found = Sum()
    # the form for large files is taken always, for nobody knows the size before
    with archive.open(_member(table), "w", force_zip64=True) as target:
        for line in lines:
            found.add(line)
            target.write(line)
    return found.table


def _member(table: str) -> str:
    return f"{table}.jsonl"
