"""Archives: a sealed .zip of a database and a manifest."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec

from appliance.backup import sealed
from appliance.backup.sealed import MANIFEST
from appliance.errors import DamagedArchive

FORMAT = 1
DATABASE = "app.db"

_ZIP64_FROM = 1 << 31


class Member(msgspec.Struct, frozen=True):
    """What a file in the archive must be: its length in bytes and its hash in hex."""

    size: int
    sha256: str


class Facts(msgspec.Struct, frozen=True):
    """What is known of a database file: its schema version and the number of rows per table."""

    schema: int
    counts: dict[str, int]


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds and where it comes from. `created_at` is RFC 3339."""

    format: int
    program: str
    driver: str
    created_at: str
    schema: int
    counts: dict[str, int]
    members: dict[str, Member]

    @property
    def facts(self) -> Facts:
        """What the database in the archive must be like."""
        return Facts(self.schema, self.counts)


class Origin(msgspec.Struct, frozen=True):
    """Where a new archive comes from: the version of the program, the driver, the time."""

    program: str
    driver: str
    created_at: str


def write(file: IO[bytes], database: IO[bytes], facts: Facts, origin: Origin) -> Manifest:
    """Write an archive of *database* to *file*, which is empty and can be read back."""
    with sealed.written(file) as archive:
        member = _add_database(archive, database)
        manifest = Manifest(
            format=FORMAT,
            program=origin.program,
            driver=origin.driver,
            created_at=origin.created_at,
            schema=facts.schema,
            counts=facts.counts,
            members={DATABASE: member},
        )
        sealed.write_manifest(archive, manifest)
    return manifest


class Archive:
    """An archive whose seal, structure and manifest were found right. Made by `read`."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    @property
    def database(self) -> Member:
        """What the database in the archive must be."""
        return self.manifest.members[DATABASE]

    def extract_database(self, target: IO[bytes]) -> None:
        """Write the database to *target*, never a byte more than the manifest says.

        Raises: DamagedArchive.
        """
        digest = hashlib.sha256()
        for chunk in self._read_database():
            digest.update(chunk)
            target.write(chunk)
        if digest.hexdigest() != self.database.sha256:
            raise DamagedArchive(f"{DATABASE} in the archive is not what its manifest says.")

    def _read_database(self) -> Iterator[bytes]:
        with sealed.damage_is_told(), self._archive.open(DATABASE) as source:
            yield from sealed.chunks(source, self.database.size)


@contextmanager
def read(file: IO[bytes]) -> Iterator[Archive]:
    """Check the seal, the structure and the manifest of *file*, then give access to it.

    Raises: DamagedArchive; DatabaseTooNew when a newer program made the archive.
    """
    with sealed.opened(file) as archive:
        with sealed.damage_is_told():
            manifest = _checked(archive)
        yield Archive(archive, manifest)


def _add_database(archive: zipfile.ZipFile, database: IO[bytes]) -> Member:
    size = database.seek(0, 2)
    database.seek(0)
    digest = hashlib.sha256()
    with archive.open(DATABASE, "w", force_zip64=size >= _ZIP64_FROM) as target:
        for chunk in sealed.chunks(database, size):
            digest.update(chunk)
            target.write(chunk)
    return Member(size=size, sha256=digest.hexdigest())


def _checked(archive: zipfile.ZipFile) -> Manifest:
    sealed.check_members(archive, (DATABASE, MANIFEST))
    manifest = sealed.read_manifest(archive, Manifest, FORMAT)
    if manifest.members.keys() != {DATABASE}:
        raise DamagedArchive(f"{MANIFEST} in the archive does not describe {DATABASE} alone.")
    if manifest.members[DATABASE].size != archive.getinfo(DATABASE).file_size:
        raise DamagedArchive(f"{DATABASE} in the archive has not the size that its manifest says.")
    return manifest
