"""An archive is read back exactly, or refused."""

from __future__ import annotations

import hashlib
import io
import random
import stat
import zipfile
from collections.abc import Callable
from typing import IO

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.backup import archive
from appliance.backup.archive import DATABASE, Facts, Origin
from appliance.backup.sealed import MANIFEST
from appliance.errors import DamagedArchive, DatabaseTooNew

FACTS = Facts(schema=2, counts={"users": 1, "runs": 40_000})
ORIGIN = Origin(program="1.2.3", driver="sqlite", created_at="2026-11-21T09:00:00.000000Z")
CONTENT = b"SQLite format 3\0" + random.Random(1).randbytes(40_000) + bytes(40_000)


def pack(content: bytes = CONTENT) -> bytes:
    file = io.BytesIO()
    archive.write(file, io.BytesIO(content), FACTS, ORIGIN)
    return file.getvalue()


def unpack(data: bytes) -> bytes:
    target = io.BytesIO()
    with archive.read(io.BytesIO(data)) as opened:
        opened.extract_database(target)
    return target.getvalue()


PACKED = pack()


def forge(
    members: list[tuple[zipfile.ZipInfo | str, bytes]], compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """An archive made by somebody who knows how the seal is made."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for info, content in members:
            target.writestr(info, content)
        target.comment = b"sha256:" + b"0" * 64
    return seal(file.getvalue())


def seal(data: bytes) -> bytes:
    body = data[:-71]
    return body + b"sha256:" + hashlib.sha256(body).hexdigest().encode()


def manifest(content: bytes = CONTENT, **changes: object) -> bytes:
    member = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    fields = {
        "format": 1,
        "program": "1.2.3",
        "driver": "sqlite",
        "created_at": "2026-11-21T09:00:00Z",
        "schema": 2,
        "counts": {},
        "members": {DATABASE: member},
    }
    return msgspec.json.encode(fields | changes)


@given(content=st.binary(max_size=3_000_000))
@settings(max_examples=30, deadline=None)
def test_round_trip(content: bytes) -> None:
    """What was packed comes out again, byte by byte."""
    assert unpack(pack(content)) == content


def test_large_files_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 2 GiB on the .zip has fields of 64 bits; read back, it is the same."""
    monkeypatch.setattr(archive, "_ZIP64_FROM", 0)
    large = pack()
    assert len(large) > len(PACKED)
    assert unpack(large) == CONTENT


def test_manifest_tells_what_was_packed() -> None:
    """The manifest names origin, schema, counts and the hash of the database."""
    with archive.read(io.BytesIO(PACKED)) as opened:
        found = opened.manifest
    expected_hash = hashlib.sha256(CONTENT).hexdigest()
    assert found.facts == FACTS
    assert (found.program, found.driver, found.created_at) == ("1.2.3", "sqlite", ORIGIN.created_at)
    assert found.members == {DATABASE: archive.Member(len(CONTENT), expected_hash)}


def test_any_zip_program_can_read_it() -> None:
    """The archive is a standard .zip; the seal is its comment over every byte before it."""
    with zipfile.ZipFile(io.BytesIO(PACKED)) as plain:
        assert plain.testzip() is None
        assert plain.read(DATABASE) == CONTENT
        assert plain.comment == b"sha256:" + hashlib.sha256(PACKED[:-71]).hexdigest().encode()


def test_every_flipped_bit_is_found() -> None:
    """1,000 single bits spread over the whole file, headers and seal included: all refused."""
    positions = random.Random(2).sample(range(len(PACKED) * 8), 1000)
    for position in positions + list(range(len(PACKED) * 8 - 100 * 8, len(PACKED) * 8)):
        damaged = bytearray(PACKED)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(DamagedArchive):
            unpack(bytes(damaged))


@pytest.mark.parametrize("length", [0, 1, 70, 71, 72, 4096, len(PACKED) - 71, len(PACKED) - 1])
def test_every_truncation_is_found(length: int) -> None:
    """However much is missing, the archive is refused."""
    with pytest.raises(DamagedArchive):
        unpack(PACKED[:length])


@pytest.mark.parametrize("tail", [b"\0", b"x" * 71, PACKED])
def test_anything_after_the_end_is_found(tail: bytes) -> None:
    """Nothing may be hung on to an archive."""
    with pytest.raises(DamagedArchive):
        unpack(PACKED + tail)


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(DATABASE)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


GOOD = (DATABASE, CONTENT)
FORGERIES: dict[str, Callable[[], bytes]] = {
    "second copy": lambda: forge([GOOD, GOOD, (MANIFEST, manifest())]),
    "third file": lambda: forge([GOOD, (MANIFEST, manifest()), ("extra", b"")]),
    "no manifest": lambda: forge([GOOD]),
    "nothing": lambda: forge([]),
    "absolute name": lambda: forge([("/app.db", CONTENT), (MANIFEST, manifest())]),
    "parent": lambda: forge([("../app.db", CONTENT), (MANIFEST, manifest())]),
    "backslash": lambda: forge([("..\\app.db", CONTENT), (MANIFEST, manifest())]),
    "other case": lambda: forge([("APP.DB", CONTENT), (MANIFEST, manifest())]),
    "directory": lambda: forge([("app.db/", b""), (MANIFEST, manifest())]),
    "link": lambda: forge([(link(), b"/etc/passwd"), (MANIFEST, manifest())]),
    "other packing": lambda: forge([GOOD, (MANIFEST, manifest())], zipfile.ZIP_LZMA),
    "other hash": lambda: forge([GOOD, (MANIFEST, manifest(CONTENT[::-1]))]),
    "other size": lambda: forge([GOOD, (MANIFEST, manifest(CONTENT + b"x"))]),
    "no JSON": lambda: forge([GOOD, (MANIFEST, b"{")]),
    "no object": lambda: forge([GOOD, (MANIFEST, b"[]")]),
    "missing field": lambda: forge([GOOD, (MANIFEST, b'{"format": 1}')]),
    "wrong type": lambda: forge([GOOD, (MANIFEST, manifest(schema="2"))]),
    "no member": lambda: forge([GOOD, (MANIFEST, manifest(members={}))]),
    "huge manifest": lambda: forge([GOOD, (MANIFEST, b" " * 2_000_000 + manifest())]),
    "no zip": lambda: seal(b"x" * 1000),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", FORGERIES)
def test_forged_archive_is_refused(name: str) -> None:
    """A right seal is no reason to trust what is inside."""
    with pytest.raises(DamagedArchive):
        unpack(FORGERIES[name]())


def test_what_is_forged_would_pass_otherwise() -> None:
    """The forgeries are refused for what is wrong with them, not for how they are made."""
    assert unpack(forge([GOOD, (MANIFEST, manifest())])) == CONTENT


def test_archive_of_a_newer_program_is_named_so() -> None:
    """A future format is not called damaged: the user is told which program reads it."""
    newer = forge([GOOD, (MANIFEST, b'{"format": 2, "parts": []}')])
    with pytest.raises(DatabaseTooNew, match="format 2, this program knows up to 1"):
        unpack(newer)


class Counting(io.BytesIO):
    """Counts what is written, as a disk would."""

    written = 0

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.written += len(data)
        return len(data)


def test_bomb_does_not_outgrow_its_manifest() -> None:
    """A member that unpacks to more than was promised is never written beyond the promise."""
    bomb = bytearray(forge([(DATABASE, bytes(5_000_000)), (MANIFEST, manifest(bytes(1000)))]))
    for place in find(bomb, (5_000_000).to_bytes(4, "little")):
        bomb[place : place + 4] = (1000).to_bytes(4, "little")
    target = Counting()
    with pytest.raises(DamagedArchive):
        extract(seal(bytes(bomb)), target)
    assert target.written <= 1000


def extract(data: bytes, target: IO[bytes]) -> None:
    with archive.read(io.BytesIO(data)) as opened:
        opened.extract_database(target)


def find(data: bytearray, part: bytes) -> list[int]:
    return [place for place in range(len(data)) if data.startswith(part, place)]


@given(seed=st.integers(min_value=0), amount=st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_noise_under_a_right_seal_is_harmless(seed: int, amount: int) -> None:
    """Random bytes in a sealed archive: refused, or read as what was packed; nothing else happens."""
    noise = random.Random(seed)
    damaged = bytearray(PACKED)
    for _ in range(amount):
        damaged[noise.randrange(-1200, -71)] = noise.randrange(256)
    try:
        content = unpack(seal(bytes(damaged)))
    except (DamagedArchive, DatabaseTooNew):
        return
    assert content == CONTENT
