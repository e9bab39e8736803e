"""A backup has everything acknowledged before it began, and stops nobody."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance import clock
from appliance.backup import snapshot, verification
from appliance.backup.archive import Manifest
from appliance.config import DatabaseSettings
from appliance.errors import DamagedArchive, NotFound, NotSupported, Unavailable
from appliance.operations import audit
from appliance.operations.actors import SYSTEM
from appliance.store import copying, migrations, open_database
from appliance.store.database import Database
from appliance.store.datadir import DataDirectory
from appliance.store.sqlite import SqliteDatabase, connect
from tests.backup import ledger


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    return ledger.data_directory(tmp_path / "data")


@pytest.fixture
def db(data: DataDirectory) -> Iterator[Database]:
    database = ledger.make(data.path, 5)
    yield database
    database.close()


def verify(data: DataDirectory, name: str) -> Manifest:
    with snapshot.find(data, name).open("rb") as file:
        return verification.verify(file, data.backups_path)


def test_backup_holds_the_database(db: Database, data: DataDirectory, tmp_path: Path) -> None:
    """The archive has every row, and its manifest says so."""
    backup = snapshot.create(db, data)
    path = data.backups_path / backup.name
    manifest = verify(data, backup.name)
    assert ledger.rows_in_archive(path, tmp_path) == [0, 1, 2, 3, 4]
    assert (manifest.counts["audit_log"], manifest.counts["users"]) == (5, 0)
    assert (manifest.schema, manifest.driver) == (migrations.latest(), "sqlite")
    assert backup.size == path.stat().st_size


def test_backup_is_private_and_leaves_nothing_else(db: Database, data: DataDirectory) -> None:
    """One file of mode 0600 in a directory of mode 0700; what was needed on the way is gone."""
    backup = snapshot.create(db, data)
    assert [path.name for path in data.backups_path.iterdir()] == [backup.name]
    assert stat.S_IMODE((data.backups_path / backup.name).stat().st_mode) == 0o600
    assert stat.S_IMODE(data.backups_path.stat().st_mode) == 0o700


def test_name_tells_the_time(db: Database, data: DataDirectory) -> None:
    """`compozy-<UTC>-<id>.zip`: names sort by time and two in one second differ."""
    before = clock.to_rfc3339(clock.now_us()) or ""
    backups = [snapshot.create(db, data), snapshot.create(db, data)]
    assert before[:19] <= backups[0].created_at[:19] <= (clock.to_rfc3339(clock.now_us()) or "")
    assert len({backup.name for backup in backups}) == 2
    assert snapshot.list_all(data) == sorted(backups, key=lambda one: one.name, reverse=True)


def test_database_in_memory(tmp_path: Path) -> None:
    """A database in memory is backed up as well: it has nothing else."""
    data = ledger.data_directory(tmp_path / "data")
    db = open_database(DatabaseSettings(driver="sqlite", path=":memory:"))
    for number in range(3):
        ledger.add(db, number)
    backup = snapshot.create(db, data)
    db.close()
    assert ledger.rows_in_archive(data.backups_path / backup.name, tmp_path) == [0, 1, 2]


def test_backups_under_load(db: Database, data: DataDirectory, tmp_path: Path) -> None:
    """Four writers go on; each backup has what was acknowledged before, and no row twice."""
    acknowledged: list[int] = list(range(5))
    stop = threading.Event()

    def write(start: int) -> None:
        for number in range(start, start + 1_000_000, 4):
            if stop.is_set():
                return
            ledger.add(db, number)
            acknowledged.append(number)

    writers = [threading.Thread(target=write, args=(5 + lane,)) for lane in range(4)]
    for writer in writers:
        writer.start()
    during = []
    try:
        for turn in range(5):
            before = set(acknowledged)
            backup = snapshot.create(db, data)
            during.append(len(acknowledged) - len(before))
            found = ledger.rows_in_archive(data.backups_path / backup.name, tmp_path / str(turn))
            assert before <= set(found)
            assert len(found) == len(set(found))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert min(during) > 0


def test_archive_that_fails_its_trial_has_no_name(
    db: Database, data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was restored on trial counts as a backup; the rest is cleared away."""

    def fail(*_: object) -> Manifest:
        raise DamagedArchive

    monkeypatch.setattr(verification, "verify", fail)
    with pytest.raises(DamagedArchive):
        snapshot.create(db, data)
    assert list(data.backups_path.iterdir()) == []


def test_copy_can_be_given_up(db: Database, data: DataDirectory, tmp_path: Path) -> None:
    """A backup does not hold up the end of the server: between two steps it stops when asked."""
    db.write(lambda tx: audit.record(tx, SYSTEM, "test", "x" * 20_000_000)).result()
    calls = []

    def pause() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Unavailable

    path = tmp_path / "copy.db"
    path.touch()
    source = connect(str(data.path / "app.db"), busy_timeout_s=1, read_only=True)
    with closing(source), pytest.raises(Unavailable):
        copying.copy(source, path, pause)
    assert len(calls) == 3


def test_closed_database_is_not_copied(db: Database, tmp_path: Path) -> None:
    """After the end there is no backup, and a sentence instead of an error of the thread pool."""
    assert isinstance(db, SqliteDatabase)
    db.close()
    with pytest.raises(Unavailable, match="closed"):
        db.snapshot(tmp_path / "copy.db").result()


def test_postgresql_names_its_own_tool(
    postgres_settings: DatabaseSettings, data: DataDirectory
) -> None:
    """What we cannot do is said, with what does it."""
    db = open_database(postgres_settings)
    try:
        with pytest.raises(NotSupported, match="pg_dump --format=custom"):
            snapshot.create(db, data)
    finally:
        db.close()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "../app.db",
        "\0",
        "/etc/passwd",
        "compozy-20261121T090000Z-01234567.zip/../../app.db",
        "compozy-20261121T090000Z-0123456.zip",
        "compozy-20261121T090000Z-0123456g.zip",
        "compozy-20261121T090000Z-01234567.zip\n",
        "compozy-\uff120261121T090000Z-01234567.zip",
        "compozy-20261121T090000Z-01234567.zip",
    ],
)
def test_only_our_names_are_looked_for(data: DataDirectory, name: str) -> None:
    """No name leads out of the directory, and a good name that is not there is not found either."""
    data.prepare_backups()
    (data.path / "app.db").write_bytes(b"")
    with pytest.raises(NotFound):
        snapshot.find(data, name)


def test_link_is_no_backup(data: DataDirectory) -> None:
    """A link with a good name is not followed."""
    name = "compozy-20261121T090000Z-01234567.zip"
    (data.prepare_backups() / name).symlink_to("/etc/hostname")
    with pytest.raises(NotFound):
        snapshot.find(data, name)


def test_list_of_an_empty_place(data: DataDirectory) -> None:
    """Before the first backup there is no directory, and foreign files in it are not listed."""
    assert snapshot.list_all(data) == []
    (data.prepare_backups() / "notes.zip").write_bytes(b"")
    assert snapshot.list_all(data) == []
