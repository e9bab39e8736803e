"""Import: what a portable archive holds, into a database that is empty or beside what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from appliance.errors import Conflict, DamagedArchive, DatabaseTooNew, InvalidInput, NotEmpty
from appliance.failpoint import failpoint
from appliance.moving import export
from appliance.moving.portable import Line, Manifest, Portable
from appliance.store import migrations
from appliance.store.database import Database, Transaction
from appliance.store.tables import TABLES, Tables

BATCH = 256
"""Rows that are stored by one call."""


class Merged(NamedTuple):
    """What became of the rows of a table: added, there already, or refused."""

    added: int
    present: int
    refused: int


def load(db: Database, archive: Portable) -> None:
    """Store everything that is in the archive, or nothing. Nobody else writes to the database.

    Before it is committed it is read again and compared with the archive.

    Raises: DamagedArchive, DatabaseTooNew, InvalidInput for an older schema, NotEmpty, and the
    errors of `Database.write`.
    """
    _check(archive.manifest)
    db.write(lambda tx: _fill(tx, archive)).result()
    failpoint("import.committed")


def require_empty(db: Database) -> None:
    """Raise NotEmpty where there are rows already."""
    db.read(_check_empty, scan=True).result()


def _check_empty(tx: Transaction) -> None:
    if filled := Tables(tx).filled():
        raise NotEmpty(
            f"The database holds {', '.join(filled)} already; choose an empty one, or `import"
            " --merge` to add what is missing."
        )


def _fill(tx: Transaction, archive: Portable) -> None:
    _check_empty(tx)
    tables = Tables(tx)
    for table in TABLES:
        for rows in _batches(archive.rows(table)):
            tables.put(table, rows)
            failpoint("import.batch")
    require_same(tx, archive.manifest)


def require_same(tx: Transaction, manifest: Manifest) -> None:
    """Raise DamagedArchive unless an export of what *tx* sees would be the one that is described."""
    found = export.measure(tx)
    wrong = [table for table in TABLES if found[table] != manifest.tables[table]]
    if wrong:
        raise DamagedArchive(f"The database does not hold what was exported: {', '.join(wrong)}.")


def merge(db: Database, archive: Portable) -> dict[str, Merged]:
    """Add the rows of the archive whose keys are not there; return what became of each table's.

    What is there stays as it is. A row is refused that refers to one that is not there, because that
    one was refused or another has its unique value. Whoever was cut off can begin again.

    Raises: what `load` raises but NotEmpty.
    """
    _check(archive.manifest)
    return {
        table: _total(_merge(db, table, rows) for rows in _batches(archive.rows(table)))
        for table in TABLES
    }


def _merge(db: Database, table: str, rows: list[Line]) -> Merged:
    try:
        added = db.write(lambda tx: Tables(tx).put(table, rows)).result()
    except Conflict:
        if len(rows) == 1:
            return Merged(0, 0, 1)
        return _total(_merge(db, table, [row]) for row in rows)
    return Merged(added, len(rows) - added, 0)


def _total(parts: Iterable[Merged]) -> Merged:
    return Merged(*map(sum, zip((0, 0, 0), *parts, strict=True)))


def _batches(rows: Iterator[Line]) -> Iterator[list[Line]]:
    while some := list(islice(rows, BATCH)):
        yield some


def _check(manifest: Manifest) -> None:
    known = migrations.latest()
    if manifest.schema > known:
        raise DatabaseTooNew(
            f"The archive has schema {manifest.schema}, this program knows up to {known}; use the"
            " version of the program that made it, or a newer one."
        )
    if manifest.schema < known:
        raise InvalidInput(
            f"The archive has schema {manifest.schema}, this program has {known}; import it with"
            " the version that made it, then run `migrate up` with this one."
        )
    if manifest.tables.keys() != set(TABLES):
        raise DamagedArchive("The archive has other tables than its schema.")
