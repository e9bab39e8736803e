"""A18: archives that were damaged or forged, and restores that are cut off at every step."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.backup import archive, sealed
from appliance.backup.restore import restore
from appliance.errors import DamagedArchive, DatabaseTooNew
from appliance.store.datadir import DataDirectory
from tests.backup import ledger, test_archive
from tests.backup.test_restore import damage

from .oracle import Findings
from .serving import ROOT, Server
from .tiers import sized
from .verdict import Verdict

DAMAGED = sized(100, 5_000, 100_000)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """An archive with the rows 0 .. 9."""
    return ledger.archived(tmp_path / "source", 10)


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """A data directory as a killed server leaves it, with the rows 0, 1, 2 in its log alone."""
    return ledger.killed(tmp_path, 3)


def cut_at_pages(content: bytes) -> list[bytes]:
    """Return the archive cut off wherever a page of the disk ends."""
    return [content[:length] for length in range(0, len(content), 4096)]


def swapped(content: bytes) -> list[bytes]:
    """Return archives with a right seal whose parts changed places, or come from two archives."""
    other = bytes(reversed(test_archive.CONTENT))
    members = [test_archive.GOOD, (sealed.MANIFEST, test_archive.manifest(other))]
    crossed = [(archive.DATABASE, test_archive.manifest()), (sealed.MANIFEST, other)]
    middle = len(content) // 2
    return [
        test_archive.forge(list(members)),
        test_archive.forge(list(crossed)),
        test_archive.seal(content[middle:] + content[:middle]),
    ]


def bomb() -> bytes:
    """Return an archive that is a thousandth of what its manifest, which is right, promises."""
    zeros = bytes(200 << 20)
    parts = [(archive.DATABASE, zeros), (sealed.MANIFEST, test_archive.manifest(zeros))]
    return test_archive.forge(list(parts))


def forged() -> list[bytes]:
    """Return every forgery that the tests of archives know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of second copies
        return [make() for make in test_archive.FORGERIES.values()]


def judge_refusal(data: DataDirectory, path: Path) -> list[str]:
    """Try to restore what is no good archive; return whether it was taken for one."""
    try:
        restore(path, data, ledger.settings(data.path))
    except (DamagedArchive, DatabaseTooNew):
        return []
    return [f"{path.name} was taken for a good archive"]


def test_no_damaged_archive_is_accepted(
    good: Path, data: DataDirectory, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """Flipped, cut, swapped, forged or a bomb: all are refused before the database is touched."""
    content, before = good.read_bytes(), ledger.fingerprint(data.path)
    first = random.Random(seed).randrange(2**40)
    bad = [*cut_at_pages(content), *swapped(content), *forged(), bomb()]
    verdict = Verdict("A18 damaged archives", len(bad) + DAMAGED)
    path = good.with_name("bad.zip")
    for number in range(verdict.faults):
        spoilt = bad[number] if number < len(bad) else damage(content, first + number)
        path.write_bytes(spoilt)
        verdict.findings.corrupt += judge_refusal(data, path)
    if ledger.fingerprint(data.path) != before:
        verdict.findings.lost.append("a refused archive has changed the data directory")
    conclude(verdict)


def test_a_restore_is_whole_or_nothing(
    good: Path, data: DataDirectory, tmp_path: Path, conclude: Callable[[Verdict], None]
) -> None:
    """Cut off before any of its steps, a restore leaves the old rows or the new; the next one ends."""
    places = [str(good), str(data.path), str(tmp_path / "crashes")]
    program = [sys.executable, "-m", "tests.backup.crashes", *places]
    run = subprocess.run(
        program, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )
    seen = run.stdout.split()
    wrong = [] if run.returncode == 0 else [run.stderr.strip().rpartition("\n")[2]]
    assert sorted(seen, key="old new".index) == seen
    conclude(Verdict("A18 restore cut off", len(seen), findings=Findings(corrupt=wrong)))


def test_the_command_says_what_is_wrong(good: Path, tmp_path: Path) -> None:
    """Who restores a damaged archive hears it in a sentence, with exit code 65."""
    bad = tmp_path / "bad.zip"
    bad.write_bytes(damage(good.read_bytes(), 1))
    home = tmp_path / "home"
    home.mkdir()
    server = Server(home, ledger.settings(home / "data"))
    said = server.command("restore", str(bad))
    assert (65, 1) == (said.returncode, said.stderr.count("\n"))
    assert "The archive is damaged" in said.stderr
    assert not (home / "data" / "app.db").exists()


def test_a_restore_that_trusts_is_caught(
    good: Path, data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its seal an archive with a wrong bit is taken for a good one."""
    monkeypatch.setattr(sealed, "check", lambda _: None)
    path = good.with_name("bad.zip")
    content = bytearray(good.read_bytes())
    content[10] ^= 1  # the time of the first member, which no checksum of .zip covers
    path.write_bytes(content)
    assert judge_refusal(data, path)
