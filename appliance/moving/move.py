"""Move: everything from one database into another, compared at the end; the first is left as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from appliance import atomic
from appliance.config import DatabaseSettings
from appliance.config.database import MEMORY, label
from appliance.errors import InvalidInput, NotFound, NotSupported
from appliance.failpoint import failpoint
from appliance.moving import export, loading, portable
from appliance.moving.loading import Merged
from appliance.moving.portable import Manifest, Portable
from appliance.store import migrations, open_database, snapshot
from appliance.store.database import Database
from appliance.store.reserving import alone

Tell = Callable[[str], None]
"""Hears what is being done, in a few words."""


def export_to(settings: DatabaseSettings, path: Path) -> Manifest:
    """Write one moment of the database to a new file *path*; servers may go on.

    Raises: NotFound, InvalidConfiguration when migrations are missing, DatabaseTooNew when there are
    others, StorageFull, StorageBroken, Unavailable.
    """
    _require(settings)
    with snapshot(settings) as tx, atomic.create(path) as file:
        return export.export(tx, file)


def _require(source: DatabaseSettings) -> None:
    """Raise what keeps everything from being read out of *source*."""
    _require_lasting(source)
    if source.driver == "sqlite" and not Path(source.path).is_file():
        raise NotFound(f"There is no database {source.path}.")
    migrations.check(source)
    migrations.require_known(source)


def _require_lasting(settings: DatabaseSettings) -> None:
    if settings.path == MEMORY:
        raise NotSupported("A database in memory ends with its process; name a file.")


def import_from(path: Path, settings: DatabaseSettings, directory: Path) -> Manifest:
    """Fill an empty database from the archive *path*. Raises what `alone` and `load` raise."""
    with _opened(path, settings, directory) as (database, archive):
        loading.load(database, archive)
        return archive.manifest


def merge_from(path: Path, settings: DatabaseSettings, directory: Path) -> dict[str, Merged]:
    """Add what is missing from the archive *path*. Raises what `alone` and `merge` raise."""
    with _opened(path, settings, directory) as (database, archive):
        return loading.merge(database, archive)


@contextmanager
def _opened(
    path: Path, settings: DatabaseSettings, directory: Path
) -> Iterator[tuple[Database, Portable]]:
    """Open an archive and the database that it goes into, with the schema of this program."""
    _require_lasting(settings)
    with path.open("rb") as file, portable.read(file) as archive, alone(settings, directory):
        migrations.up(settings, reserved=True)
        with closing(open_database(settings)) as database:
            yield database, archive


def move(
    source: DatabaseSettings, directory: Path, target: DatabaseSettings, tell: Tell
) -> Manifest:
    """Bring everything from *source*, with its data *directory*, into the empty database *target*.

    The target is filled as a whole or not at all, and read again at the end. The source is left as
    it is, also by a failure. Raises what `export_to` and `import_from` raise.
    """
    if (source.path, source.conninfo) == (target.path, target.conninfo):
        raise InvalidInput(
            f"{label(target)} is where everything is already; name another database."
        )
    _require_lasting(target)
    _require(source)
    home = Path(target.path).parent if target.driver == "sqlite" else None
    with (
        alone(source, directory),
        alone(target, home),
        atomic.scratch(directory / "move.zip") as file,
    ):
        migrations.up(target, reserved=True)
        with closing(open_database(target)) as database:
            loading.require_empty(database)
            tell(f"Reading {label(source)}")
            with snapshot(source) as tx:
                manifest = export.export(tx, file)
            tell(f"Writing {label(target)}")
            with portable.read(file) as archive:
                loading.load(database, archive)
    tell("Comparing the two")
    with snapshot(target) as tx:
        loading.require_same(tx, manifest)
    failpoint("move.compared")
    return manifest
