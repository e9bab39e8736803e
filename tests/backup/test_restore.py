"""A restore puts the backup in place, or changes nothing."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from appliance import atomic
from appliance.backup import archive, inspection, verification
from appliance.backup.archive import Facts, Origin
from appliance.backup.restore import Restored, restore
from appliance.config import DatabaseSettings
from appliance.errors import (
    DamagedArchive,
    DatabaseTooNew,
    Locked,
    NotFound,
    NotSupported,
    StorageBroken,
    StorageFull,
)
from appliance.store import migrations, open_database
from appliance.store.datadir import DataDirectory
from tests.backup import ledger
from tests.store import later

ROOT = Path(__file__).parents[2]
ORIGIN = Origin(program="1.2.3", driver="sqlite", created_at="2026-11-21T09:00:00Z")


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with the rows 0 .. 9."""
    return ledger.archived(tmp_path_factory.mktemp("source") / "data", 10)


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """A data directory that a killed server left, with the rows 0, 1, 2 in its log alone."""
    return ledger.killed(tmp_path, 3)


def put_back(source: Path, data: DataDirectory, *, dry_run: bool = False) -> Restored:
    return restore(source, data, ledger.settings(data.path), dry_run=dry_run)


def database_files(data: DataDirectory) -> list[str]:
    return sorted(path.name for path in data.path.glob("app.db*"))


def test_restore_replaces_the_database(backup: Path, data: DataDirectory) -> None:
    """The rows of the backup are there, those of the old database are kept beside, log included."""
    done = put_back(backup, data)
    assert done.previous is not None
    previous = Path(done.previous)
    assert database_files(data) == ["app.db", previous.name]
    assert ledger.rows(data.path / "app.db") == list(range(10))
    assert ledger.rows(previous) == [0, 1, 2]
    assert done.manifest.counts["audit_log"] == 10


def test_restored_files_are_private(backup: Path, data: DataDirectory) -> None:
    """Neither the new nor the old database can be read by others, and the directory is accepted."""
    put_back(backup, data)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in data.path.glob("app.db*")}
    assert modes == {0o600}
    data.prepare()


def test_server_goes_on_with_what_was_restored(backup: Path, data: DataDirectory) -> None:
    """The restored database is migrated, opened and written like any other."""
    put_back(backup, data)
    migrations.up(ledger.settings(data.path))
    db = open_database(ledger.settings(data.path))
    ledger.add(db, 99)
    db.close()
    assert ledger.rows(data.path / "app.db") == [*range(10), 99]


def test_restore_into_an_empty_directory(backup: Path, tmp_path: Path) -> None:
    """A new machine needs nothing but the archive."""
    data = DataDirectory(tmp_path / "new" / "data")
    done = put_back(backup, data)
    assert done.previous is None
    assert database_files(data) == ["app.db"]
    assert ledger.rows(data.path / "app.db") == list(range(10))


def test_log_of_a_database_that_is_gone_is_not_mixed_in(backup: Path, data: DataDirectory) -> None:
    """When somebody deleted app.db but not its log, the log does not end up in the new one."""
    (data.path / "app.db").unlink()
    put_back(backup, data)
    assert database_files(data) == ["app.db"]
    assert ledger.rows(data.path / "app.db") == list(range(10))


def test_unfinished_transaction_of_the_old_database_is_not_mixed_in(
    backup: Path, tmp_path: Path
) -> None:
    """A rollback journal that a crash left belongs to the old database and ends with it."""
    data = ledger.data_directory(tmp_path / "data")
    make_hot_journal(data.path / "app.db")
    assert database_files(data) == ["app.db", "app.db-journal"]
    done = put_back(backup, data)
    assert done.previous is not None
    assert database_files(data) == ["app.db", Path(done.previous).name]
    assert ledger.rows(data.path / "app.db") == list(range(10))
    with closing(sqlite3.connect(done.previous)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def make_hot_journal(path: Path) -> None:
    """A database as it is found after a crash in the middle of a transaction."""
    building = path.with_name("building")
    with closing(sqlite3.connect(building, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (zeroblob(100))")
        connection.execute("BEGIN")
        for _ in range(100):
            connection.execute("INSERT INTO t VALUES (zeroblob(3000))")
        for suffix in ("", "-journal"):
            shutil.copy(f"{building}{suffix}", f"{path}{suffix}")
            path.with_name(path.name + suffix).chmod(0o600)
    building.unlink()


def test_old_database_that_cannot_be_read_is_kept(backup: Path, data: DataDirectory) -> None:
    """A restore is for bad days: rubbish in place of the database does not prevent it."""
    (data.path / "app.db").write_bytes(b"rubbish" * 1000)
    wal = (data.path / "app.db-wal").read_bytes()
    done = put_back(backup, data)
    assert done.previous is not None
    assert ledger.rows(data.path / "app.db") == list(range(10))
    assert Path(done.previous).read_bytes() == b"rubbish" * 1000
    assert Path(f"{done.previous}-wal").read_bytes() == wal


def test_restore_twice(backup: Path, data: DataDirectory) -> None:
    """Every restore keeps what was there before it."""
    first, second = put_back(backup, data), put_back(backup, data)
    assert first.previous is not None
    assert second.previous is not None
    assert ledger.rows(Path(first.previous)) == [0, 1, 2]
    assert ledger.rows(Path(second.previous)) == list(range(10))


def test_dry_run_changes_nothing(backup: Path, data: DataDirectory) -> None:
    """It says what is in the archive and leaves every file as it is."""
    before = ledger.fingerprint(data.path)
    done = put_back(backup, data, dry_run=True)
    assert (done.previous, done.manifest.counts["audit_log"]) == (None, 10)
    assert ledger.fingerprint(data.path) == before


def test_running_server_is_respected(backup: Path, data: DataDirectory) -> None:
    """Whoever holds the directory is named; exit code 73."""
    before = ledger.fingerprint(data.path)
    with data.lock(), pytest.raises(Locked, match=f"process {os.getpid()}") as caught:
        put_back(backup, data)
    assert caught.value.exit_code == 73
    assert ledger.fingerprint(data.path) == before


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_database_open_elsewhere_is_respected(backup: Path, data: DataDirectory, mode: str) -> None:
    """A database shell that is in it would destroy the log of the new one when it ends."""
    path = data.path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute(f"PRAGMA journal_mode = {mode}")
        shell.execute("BEGIN")
        shell.execute("SELECT * FROM audit_log").fetchone()
        with pytest.raises(Locked, match=r"Another program has .*app\.db open"):
            put_back(backup, data)
        shell.execute("COMMIT")
    assert ledger.rows(path) == [0, 1, 2]


def damage(content: bytes, seed: int) -> bytes:
    choice = random.Random(seed)
    if seed % 4 == 3:
        return content[: choice.randrange(len(content))]
    position = choice.randrange(len(content) * 8)
    damaged = bytearray(content)
    damaged[position // 8] ^= 1 << position % 8
    return bytes(damaged)


def test_damaged_archives_are_refused(backup: Path, data: DataDirectory, tmp_path: Path) -> None:
    """200 single flipped bits and 66 truncations: none gets near the live database."""
    before, content = ledger.fingerprint(data.path), backup.read_bytes()
    path = tmp_path / "damaged.zip"
    for seed in range(266):
        path.write_bytes(damage(content, seed))
        with pytest.raises(DamagedArchive):
            put_back(path, data)
    assert ledger.fingerprint(data.path) == before


def forge(path: Path, database: Path, facts: Facts) -> Path:
    """An archive with a right seal around *database*, whatever that is."""
    with atomic.create(path) as file, database.open("rb") as content:
        archive.write(file, content, facts, ORIGIN)
    return path


def assert_refused(data: DataDirectory, path: Path, error: type[Exception], match: str) -> None:
    before = ledger.fingerprint(data.path)
    with pytest.raises(error, match=match):
        put_back(path, data)
    assert ledger.fingerprint(data.path) == before


@pytest.fixture
def database(backup: Path, tmp_path: Path) -> Path:
    """The database of the archive, to be spoilt."""
    path = tmp_path / "spoilt.db"
    with backup.open("rb") as file, path.open("w+b") as target:
        verification.unpack(file, target)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return path


def test_other_rows_than_promised(data: DataDirectory, database: Path, tmp_path: Path) -> None:
    """A database that lacks rows is noticed even if the archive itself is whole."""
    facts = inspection.facts(database)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DELETE FROM audit_log WHERE subject = '5'")
    assert_refused(data, forge(tmp_path / "x.zip", database, facts), DamagedArchive, "not the rows")


def test_broken_reference(data: DataDirectory, database: Path, tmp_path: Path) -> None:
    """A key of a user who is not there is noticed."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("CREATE TABLE child (user_id TEXT REFERENCES users (id))")
        connection.execute("INSERT INTO child VALUES ('nobody')")
    path = forge(tmp_path / "x.zip", database, inspection.facts(database))
    assert_refused(data, path, DamagedArchive, "a row of child refers to a row of users")


def test_broken_page(data: DataDirectory, database: Path, tmp_path: Path) -> None:
    """A page of rubbish in the database is noticed."""
    facts = inspection.facts(database)
    content = bytearray(database.read_bytes())
    content[4096 * 3 : 4096 * 4] = random.Random(1).randbytes(4096)
    database.write_bytes(content)
    assert_refused(data, forge(tmp_path / "x.zip", database, facts), DamagedArchive, "damaged")


def test_no_database(data: DataDirectory, tmp_path: Path) -> None:
    """Something else in place of the database is noticed."""
    other = tmp_path / "other"
    other.write_bytes(b"not a database" * 1000)
    path = forge(tmp_path / "x.zip", other, Facts(1, {}))
    assert_refused(data, path, DamagedArchive, "file is not a database")


def test_archive_of_a_newer_program(data: DataDirectory, database: Path, tmp_path: Path) -> None:
    """A schema that this program cannot use is refused with exit code 78."""
    later.apply(DatabaseSettings(path=str(database)), later.EXPANDING, later.CONTRACTING)
    path = forge(tmp_path / "x.zip", database, inspection.facts(database))
    assert_refused(data, path, DatabaseTooNew, "The database in the archive has migration")
    assert DatabaseTooNew.exit_code == 78


def test_archive_of_a_newer_program_that_only_added(
    data: DataDirectory, database: Path, tmp_path: Path
) -> None:
    """A schema that this program can use is restored, with what it does not know."""
    later.apply(DatabaseSettings(path=str(database)), later.EXPANDING)
    path = forge(tmp_path / "x.zip", database, inspection.facts(database))
    done = put_back(path, data)
    assert done.manifest.schema == migrations.latest() + 1
    assert done.manifest.counts["moods"] == 0
    migrations.check(ledger.settings(data.path))


def test_no_room(backup: Path, data: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not fit on the disk is not even begun: a bomb cannot fill it."""
    monkeypatch.setattr(verification, "_RESERVE", 1 << 60)
    assert_refused(data, backup, StorageFull, r"needs \d+ bytes .*, 0 are free")


def test_missing_archive(data: DataDirectory) -> None:
    """A wrong path is named, and no data directory is made for it."""
    with pytest.raises(NotFound, match="no archive /nowhere"):
        put_back(Path("/nowhere"), DataDirectory(data.path / "other"))
    assert not (data.path / "other").exists()


def test_other_databases_are_named(backup: Path, data: DataDirectory) -> None:
    """PostgreSQL has its own tool; memory has no file."""
    postgres = DatabaseSettings(driver="postgres", conninfo="postgresql://x")
    with pytest.raises(NotSupported, match="pg_restore"):
        restore(backup, data, postgres)
    with pytest.raises(NotSupported, match="in memory"):
        restore(backup, data, DatabaseSettings(driver="sqlite", path=":memory:"))


def test_order_of_the_steps(
    backup: Path, data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut at any moment the disk has the old database or the new one, not both logs.

    The content of the new file, the second name of the old one and the end of its log are on disk
    before the rename; the rename is on disk before the restore says that it is done.
    """
    steps: list[str] = []
    fsync, rename, link = os.fsync, Path.replace, Path.hardlink_to

    def record_fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("names" if is_directory else "content")
        steps.extend(["log"] * (data.path / "app.db-wal").exists())
        fsync(descriptor)

    def record_rename(source: Path, target: Path) -> Path:
        steps.append(f"rename to {target.name}")
        return rename(source, target)

    def record_link(second: Path, first: Path) -> None:
        steps.append(f"second name of {first.name}")
        link(second, first)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_rename)
    monkeypatch.setattr(Path, "hardlink_to", record_link)
    put_back(backup, data)
    expected = ["content", "log", "second name of app.db", "names", "rename to app.db", "names"]
    assert steps == expected


@pytest.mark.parametrize("failing", ["hardlink_to", "replace"])
def test_failure_on_the_way_leaves_the_old_database(
    backup: Path, data: DataDirectory, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """When the disk refuses a step, the old database is complete, alone, and under one name."""

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(Path, failing, refuse)
        with pytest.raises(StorageBroken, match="Input/output error"):
            put_back(backup, data)
    assert database_files(data) == ["app.db"]
    assert (data.path / "app.db").stat().st_nlink == 1
    assert ledger.rows(data.path / "app.db") == [0, 1, 2]


def test_crash_at_every_step(backup: Path, data: DataDirectory, tmp_path: Path) -> None:
    """Killed anywhere, a restore leaves the old rows or the new ones, and can be repeated."""
    places = [str(backup), str(data.path), str(tmp_path / "crashes")]
    program = [sys.executable, "-m", "tests.backup.crashes", *places]
    run = subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    seen = run.stdout.split()
    assert sorted(seen, key="old new".index) == seen
    assert seen.count("old") > 10
    assert seen.count("new") > 1
