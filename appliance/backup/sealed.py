"""Sealed files: a standard .zip that notices one wrong bit anywhere.

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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TypeVar

import msgspec

from appliance.errors import DamagedArchive, DatabaseTooNew

MANIFEST = "manifest.json"

_LEVEL = 3  # 2.5 times as fast as the usual 6, for archives that are a tenth larger
_CHUNK = 1 << 20

_MANIFEST_LIMIT = 1 << 20
_ENCRYPTED = 0x1
_SEAL = b"sha256:"
_SEAL_SIZE = len(_SEAL) + 64
_SEALED = re.compile(_SEAL + rb"[0-9a-f]{64}")

M = TypeVar("M", bound=msgspec.Struct)


@contextmanager
def written(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Give an archive to fill; *file* is empty, can be read back, and is sealed at the end."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        yield archive
        archive.comment = _SEAL + b"0" * 64
    start = file.seek(0, 2) - _SEAL_SIZE
    seal = _SEAL + _digest(file, start)
    file.seek(start)
    file.write(seal)


@contextmanager
def opened(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Give the archive in *file*, whose seal is right. Raises: DamagedArchive."""
    check(file)
    with damage_is_told():
        archive = zipfile.ZipFile(file)
    with archive:
        yield archive


def check(file: IO[bytes]) -> None:
    """Raise DamagedArchive unless *file* ends in the seal of what it holds."""
    start = file.seek(0, 2) - _SEAL_SIZE
    if start < 0:
        raise DamagedArchive("The archive is damaged: it is cut off.")
    file.seek(start)
    seal = file.read(_SEAL_SIZE)
    if not _SEALED.fullmatch(seal):
        raise DamagedArchive("The archive is damaged: it does not end in its checksum.")
    if seal != _SEAL + _digest(file, start):
        raise DamagedArchive("The archive is damaged: its content does not match its checksum.")


def chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Return up to *size* bytes in pieces; fewer when the file ends before."""
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        size -= len(chunk)
        yield chunk


def write_manifest(archive: zipfile.ZipFile, manifest: msgspec.Struct) -> None:
    """Add what the archive holds, for programs and for people."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    with archive.open(MANIFEST, "w") as target:
        target.write(text)


def read_manifest(archive: zipfile.ZipFile, kind: type[M], format_: int) -> M:
    """Return what the archive says that it holds, in a format up to *format_*.

    Raises: DamagedArchive, DatabaseTooNew, and what `damage_is_told` is for.
    """
    with archive.open(MANIFEST) as file:
        text = file.read(_MANIFEST_LIMIT + 1)
    if len(text) > _MANIFEST_LIMIT:
        raise DamagedArchive(f"{MANIFEST} in the archive is too large.")
    found = msgspec.json.decode(text, type=_Format).format
    if found > format_:
        raise DatabaseTooNew(
            f"The archive has format {found}, this program knows up to {format_}; "
            "use the version of the program that made it."
        )
    return msgspec.json.decode(text, type=kind)


class _Format(msgspec.Struct):
    format: int


def check_members(archive: zipfile.ZipFile, wanted: Iterable[str]) -> None:
    """Refuse everything but the files we write: no second copy, no other path, no link.

    Raises: DamagedArchive.
    """
    infos = archive.infolist()
    names, expected = sorted(info.filename for info in infos), sorted(wanted)
    if names != expected:
        raise DamagedArchive(f"The archive holds {names}, not {' and '.join(expected)}.")
    for info in infos:
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise DamagedArchive(f"{info.filename} in the archive is not a regular file.")
        if info.compress_type != zipfile.ZIP_DEFLATED or info.flag_bits & _ENCRYPTED:
            raise DamagedArchive(f"{info.filename} in the archive is not packed as we pack it.")


def _digest(file: IO[bytes], size: int) -> bytes:
    file.seek(0)
    digest = hashlib.sha256()
    for chunk in chunks(file, size):
        digest.update(chunk)
    return digest.hexdigest().encode()


@contextmanager
def damage_is_told() -> Iterator[None]:
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
