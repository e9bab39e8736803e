"""Export: one moment of a database as a portable archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from appliance.failpoint import failpoint
from appliance.moving import portable
from appliance.moving.portable import Manifest, Table
from appliance.store import migrations
from appliance.store.database import Transaction
from appliance.store.tables import TABLES, Tables


def export(tx: Transaction, file: IO[bytes]) -> Manifest:
    """Write every row that *tx* sees to *file*, which is empty. A few rows at a time are in memory."""
    tables = ((table, _lines(tx, table)) for table in TABLES)
    manifest = portable.write(file, tables, migrations.latest())
    failpoint("export.written")
    return manifest


def measure(tx: Transaction) -> dict[str, Table]:
    """Return what an export of all that *tx* sees would hold."""
    return {table: portable.measure(_lines(tx, table)) for table in TABLES}


def _lines(tx: Transaction, table: str) -> Iterator[bytes]:
    """Yield the rows of a table as they stand in an archive."""
    return map(portable.line_of, Tables(tx).rows(table))
