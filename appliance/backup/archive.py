"""Archives: a standard .zip with a manifest, sealed so that one wrong bit anywhere is noticed.

The seal is the archive comment, the last 71 bytes of the file: `sha256:` and the hash, in hex, of
every byte before the comment. Any zip program can read the archive; none can change it unnoticed.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec

from appliance.errors import DamagedArchive, DatabaseTooNew

FORMAT = 1
DATABASE = "app.db"
MANIFEST = "manifest.json"

_CHUNK = 1 << 20
_LEVEL = 3  # 2.5 times as fast as the usual 6, for archives that are a tenth larger
_ZIP64_FROM = 1 << 31
_MANIFEST_LIMIT = 1 << 20
_ENCRYPTED = 0x1
_SEAL = b"sha256:"
_SEAL_SIZE = len(_SEAL) + 64
_SEALED = re.compile(_SEAL + rb"[0-9a-f]{64}")


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
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
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
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        with archive.open(MANIFEST, "w") as target:
            target.write(text)
        archive.comment = _SEAL + b"0" * 64
    _seal(file)
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
        with _damage_is_told(), self._archive.open(DATABASE) as source:
            yield from _chunks(source, self.database.size)


@contextmanager
def read(file: IO[bytes]) -> Iterator[Archive]:
    """Check the seal, the structure and the manifest of *file*, then give access to it.

    Raises: DamagedArchive; DatabaseTooNew when a newer program made the archive.
    """
    _check_seal(file)
    with _damage_is_told():
        archive = zipfile.ZipFile(file)
    with archive:
        with _damage_is_told():
            _check_members(archive.infolist())
            manifest = _read_manifest(archive)
        yield Archive(archive, manifest)


def _add_database(archive: zipfile.ZipFile, database: IO[bytes]) -> Member:
    size = database.seek(0, 2)
    database.seek(0)
    digest = hashlib.sha256()
    with archive.open(DATABASE, "w", force_zip64=size >= _ZIP64_FROM) as target:
        for chunk in _chunks(database, size):
            digest.update(chunk)
            target.write(chunk)
    return Member(size=size, sha256=digest.hexdigest())


def _seal(file: IO[bytes]) -> None:
    start = file.seek(0, 2) - _SEAL_SIZE
    seal = _SEAL + _digest(file, start)
    file.seek(start)
    file.write(seal)


def _check_seal(file: IO[bytes]) -> None:
    start = file.seek(0, 2) - _SEAL_SIZE
    if start < 0:
        raise DamagedArchive("The archive is damaged: it is cut off.")
    file.seek(start)
    seal = file.read(_SEAL_SIZE)
    if not _SEALED.fullmatch(seal):
        raise DamagedArchive("The archive is damaged: it does not end in its checksum.")
    if seal != _SEAL + _digest(file, start):
        raise DamagedArchive("The archive is damaged: its content does not match its checksum.")


def _digest(file: IO[bytes], size: int) -> bytes:
    file.seek(0)
    digest = hashlib.sha256()
    for chunk in _chunks(file, size):
        digest.update(chunk)
    return digest.hexdigest().encode()


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Return up to *size* bytes in pieces; fewer when the file ends before."""
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        size -= len(chunk)
        yield chunk


def _check_members(infos: list[zipfile.ZipInfo]) -> None:
    """Refuse everything but the two files we write: no second copy, no other path, no link."""
    names = sorted(info.filename for info in infos)
    if names != [DATABASE, MANIFEST]:
        raise DamagedArchive(f"The archive holds {names}, not {DATABASE} and {MANIFEST}.")
    for info in infos:
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise DamagedArchive(f"{info.filename} in the archive is not a regular file.")
        if info.compress_type != zipfile.ZIP_DEFLATED or info.flag_bits & _ENCRYPTED:
            raise DamagedArchive(f"{info.filename} in the archive is not packed as we pack it.")


def _read_manifest(archive: zipfile.ZipFile) -> Manifest:
    with archive.open(MANIFEST) as file:
        text = file.read(_MANIFEST_LIMIT + 1)
    if len(text) > _MANIFEST_LIMIT:
        raise DamagedArchive(f"{MANIFEST} in the archive is too large.")
    _check_format(text)
    manifest = msgspec.json.decode(text, type=Manifest)
    if manifest.members.keys() != {DATABASE}:
        raise DamagedArchive(f"{MANIFEST} in the archive does not describe {DATABASE} alone.")
    if manifest.members[DATABASE].size != archive.getinfo(DATABASE).file_size:
        raise DamagedArchive(f"{DATABASE} in the archive has not the size that its manifest says.")
    return manifest


def _check_format(text: bytes) -> None:
    found = msgspec.json.decode(text, type=_Format).format
    if found > FORMAT:
        raise DatabaseTooNew(
            f"The archive has format {found}, this program knows up to {FORMAT}; "
            "use the version of the program that made it."
        )


class _Format(msgspec.Struct):
    format: int


@contextmanager
def _damage_is_told() -> Iterator[None]:
    """Turn whatever the zip and JSON libraries raise for broken input into DamagedArchive."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        msgspec.MsgspecError,
        EOFError,
        NotImplementedError,  # a feature of .zip that we never use
        OSError,  # an offset outside the file
        OverflowError,
        ValueError,
    ) as error:
        raise DamagedArchive(f"The archive is damaged: {error}.") from error
