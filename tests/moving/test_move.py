"""Rules of export, import and move: what was in one database is in the other, or nothing is."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.config import DatabaseSettings
from appliance.errors import (
    Conflict,
    DamagedArchive,
    DatabaseTooNew,
    InvalidInput,
    Locked,
    NotEmpty,
    NotFound,
    NotSupported,
)
from appliance.moving import export as exporting
from appliance.moving import loading, portable
from appliance.moving.loading import Merged
from appliance.moving.move import export_to, import_from, merge_from, move
from appliance.store import snapshot
from appliance.store.reserving import alone
from appliance.store.tables import TABLES, Tables
from tests.store import later

from .conftest import Ends
from .filled import ODD, ROWS, fill

QUIET = lambda _: None  # noqa: E731


def exported(settings: DatabaseSettings, path: Path) -> bytes:
    """Return the archive of a database."""
    export_to(settings, path)
    return path.read_bytes()


def contents(settings: DatabaseSettings) -> dict[str, list[dict[str, Any]]]:
    """Return every row, as the driver gives it."""
    with snapshot(settings) as tx:
        return {table: [dict(row) for row in Tables(tx).rows(table)] for table in TABLES}


def test_every_table_is_moved(sqlite_settings: DatabaseSettings) -> None:
    """A table that nobody names here would stay behind in silence."""
    with closing(sqlite3.connect(sqlite_settings.path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = {name for (name,) in rows}
    assert found - set(TABLES) == {
        *("probe", "nodes", "commands"),
        *("schema_migrations", "schema_compatibility"),
    }


def test_every_column_is_moved(sqlite_settings: DatabaseSettings) -> None:
    """A column that the rows of this test, and so perhaps an import, lack is noticed."""
    fill(sqlite_settings)
    for table, rows in contents(sqlite_settings).items():
        assert rows[0].keys() == ROWS[table][0].keys(), table


def test_a_move_keeps_every_value(ends: Ends, directory: Path) -> None:
    """Both databases hold the same rows, and the source is as it was."""
    fill(ends.source)
    before = contents(ends.source)

    manifest = move(ends.source, directory, ends.target, QUIET)

    assert before == contents(ends.source) == contents(ends.target)
    assert {name: len(rows) for name, rows in ROWS.items()} == {
        name: table.rows for name, table in manifest.tables.items()
    }
    assert [] == [path.name for path in directory.iterdir() if path.suffix == ".tmp"]


def test_exports_are_the_same_bytes(ends: Ends, tmp_path: Path, directory: Path) -> None:
    """Whatever the database and its language: the same rows in the same order."""
    fill(ends.source)
    first = exported(ends.source, tmp_path / "first.zip")
    import_from(tmp_path / "first.zip", ends.target, directory)
    assert first == exported(ends.target, tmp_path / "second.zip")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
RESOURCES = st.lists(
    st.tuples(TEXT, TEXT, st.integers(-(2**63), 2**63 - 1)), unique_by=lambda row: row[0]
)


@given(rows=RESOURCES)
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_and_number_is_moved(
    rows: list[tuple[str, str, int]],
    postgres_settings: DatabaseSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nothing is lost of any value that both databases can hold."""
    home = tmp_path_factory.mktemp("any")
    template = ROWS["resources"][0]
    made = [{**template, "id": name, "text": text, "version": n} for name, text, n in rows]
    there = {row["id"] for row in contents(postgres_settings)["resources"]}
    fill(postgres_settings, {"resources": [row for row in made if row["id"] not in there]})
    target = DatabaseSettings(path=str(home / "app.db"))
    export_to(postgres_settings, home / "all.zip")
    import_from(home / "all.zip", target, home)
    assert contents(postgres_settings) == contents(target)


def test_a_database_that_is_not_empty_is_refused(ends: Ends, directory: Path) -> None:
    """Nobody's rows are mixed unasked; the sentence says what is there, and what to do."""
    fill(ends.source)
    fill(ends.target, {"users": ROWS["users"]})
    with pytest.raises(NotEmpty, match=r"holds users already.*--merge"):
        move(ends.source, directory, ends.target, QUIET)
    assert contents(ends.target)["definitions"] == []


@pytest.mark.parametrize("after", range(3))
def test_an_import_that_is_cut_off_leaves_nothing(
    ends: Ends, directory: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Whatever fails on the way: the target is empty, and the same import succeeds afterwards."""
    fill(ends.source)
    put, calls = Tables.put, iter(range(1000))

    def failing(tables: Tables, table: str, rows: Any) -> int:
        if next(calls) == after * 7:
            raise Conflict("on purpose")
        return put(tables, table, rows)

    with monkeypatch.context() as patched:
        patched.setattr(Tables, "put", failing)
        with pytest.raises(Conflict):
            move(ends.source, directory, ends.target, QUIET)
    assert not any(contents(ends.target).values())

    move(ends.source, directory, ends.target, QUIET)
    assert contents(ends.source) == contents(ends.target)


def test_a_value_that_changes_on_the_way_is_noticed(
    ends: Ends, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored is read again before it is committed."""
    fill(ends.source)
    put = Tables.put

    def forgetful(tables: Tables, table: str, rows: Any) -> int:
        return put(tables, table, [{**row, "text": ""} if "text" in row else row for row in rows])

    monkeypatch.setattr(Tables, "put", forgetful)
    with pytest.raises(DamagedArchive, match="does not hold what was exported: resources"):
        move(ends.source, directory, ends.target, QUIET)
    assert not any(contents(ends.target).values())


def test_a_merge_adds_what_is_missing(ends: Ends, tmp_path: Path, directory: Path) -> None:
    """Rows that are there stay; a row that refers to a refused one is refused; again adds nothing."""
    fill(ends.source)
    export_to(ends.source, tmp_path / "all.zip")
    mine = copy.deepcopy(ROWS["users"])
    mine[0]["id"] = "another"  # has the address of u1, so u1 and its key cannot come in
    mine[1]["role"] = "admin"
    fill(ends.target, {"users": mine})

    merged = merge_from(tmp_path / "all.zip", ends.target, directory)

    assert Merged(0, 2, 0) == merged["users"]
    assert Merged(0, 0, 1) == merged["api_keys"]
    assert Merged(1, 0, 0) == merged["sessions"]
    assert Merged(300, 0, 0) == merged["task_states"]
    found = contents(ends.target)
    assert mine == sorted(found["users"], key=lambda row: str(row["email"]))
    assert contents(ends.source)["task_states"] == found["task_states"]
    again = merge_from(tmp_path / "all.zip", ends.target, directory)
    assert 0 == sum(table.added for table in again.values())
    assert found == contents(ends.target)


def test_an_export_sees_one_moment(ends: Ends, tmp_path: Path) -> None:
    """What is written meanwhile is not in it, in no table."""
    fill(ends.source, {"users": ROWS["users"]})
    with snapshot(ends.source) as tx, (tmp_path / "all.zip").open("x+b") as file:
        assert "u1" == next(iter(Tables(tx).rows("users")))["id"]
        fill(ends.source, {"audit_log": ROWS["audit_log"]})
        manifest = exporting.export(tx, file)
    assert (2, 0) == (manifest.tables["users"].rows, manifest.tables["audit_log"].rows)


def test_a_server_keeps_its_database(ends: Ends, tmp_path: Path, directory: Path) -> None:
    """Nothing is moved out of, or brought into, a database that somebody works on."""
    fill(ends.source)
    home = Path(ends.target.path).parent if ends.target.driver == "sqlite" else None
    with alone(ends.target, home), pytest.raises(Locked):
        move(ends.source, directory, ends.target, QUIET)
    with alone(ends.source, directory), pytest.raises(Locked):
        move(ends.source, directory, ends.target, QUIET)


def test_a_database_is_not_moved_onto_itself(
    sqlite_settings: DatabaseSettings, directory: Path
) -> None:
    """The sentence says so, before anything is done."""
    with pytest.raises(InvalidInput, match="everything is already"):
        move(sqlite_settings, directory, sqlite_settings, QUIET)


def test_a_database_that_does_not_last_or_is_not_there_is_refused(
    sqlite_settings: DatabaseSettings, tmp_path: Path, directory: Path
) -> None:
    """The sentence says which; nothing is made."""
    memory, absent = (DatabaseSettings(path=path) for path in (":memory:", str(tmp_path / "x.db")))
    with pytest.raises(NotSupported, match="in memory"):
        move(sqlite_settings, directory, memory, QUIET)
    with pytest.raises(NotSupported, match="in memory"):
        export_to(memory, tmp_path / "x.zip")
    with pytest.raises(NotFound, match="no database"):
        move(absent, directory, sqlite_settings, QUIET)
    assert not list(tmp_path.glob("x*"))


def test_what_is_not_known_is_not_left_behind(ends: Ends, directory: Path, tmp_path: Path) -> None:
    """A program can work with a newer schema and not know what else is to be moved."""
    later.apply(ends.source, later.EXPANDING)
    with pytest.raises(DatabaseTooNew, match="does not know"):
        export_to(ends.source, tmp_path / "x.zip")
    with pytest.raises(DatabaseTooNew, match="does not know"):
        move(ends.source, directory, ends.target, QUIET)
    assert not list(tmp_path.glob("x*"))


@pytest.fixture
def archive(sqlite_settings: DatabaseSettings, tmp_path: Path) -> Path:
    """An archive with something in every table."""
    fill(sqlite_settings)
    export_to(sqlite_settings, tmp_path / "all.zip")
    return tmp_path / "all.zip"


def cut(content: bytes) -> Iterator[bytes]:
    """Yield damaged forms of an archive."""
    for place in range(0, len(content), max(1, len(content) // 40)):
        yield content[:place]
        yield content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
    yield content + b"x"


def test_a_damaged_archive_is_refused(
    archive: Path, other_sqlite: DatabaseSettings, directory: Path
) -> None:
    """One wrong bit anywhere is noticed before anything is stored."""
    content = archive.read_bytes()
    for damaged in cut(content):
        archive.write_bytes(damaged)
        with pytest.raises(DamagedArchive):
            import_from(archive, other_sqlite, directory)
    assert not any(contents(other_sqlite).values())


def forged(path: Path, **changed: Any) -> Path:
    """Write an archive whose seal is right and whose manifest says something else."""
    found: dict[str, list[bytes]] = {table: [] for table in changed.pop("tables", TABLES)}
    found["users"] = changed.pop("users", [])
    with path.open("x+b") as file:
        portable.write(file, found.items(), changed.pop("schema", portable_schema()))
    return path


def portable_schema() -> int:
    """Return the schema of this program."""
    from appliance.store import migrations

    return migrations.latest()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"schema": 9999}, "has schema 9999.*newer"),
        ({"schema": 1}, "has schema 1,.*migrate up"),
        ({"tables": ("users",)}, "other tables"),
        ({"users": [b"{\n"]}, "damaged"),
        ({"users": [b'{"id": {}}\n']}, "damaged"),
        ({"users": [b'{"id": "u"}\n']}, "email"),
        ({"users": [b'{"id": "u"']}, "damaged"),
    ],
)
def test_a_strange_archive_is_refused(
    tmp_path: Path,
    other_sqlite: DatabaseSettings,
    directory: Path,
    changed: dict[str, Any],
    words: str,
) -> None:
    """Whoever made it with a right seal: a sentence, and nothing is stored."""
    path = forged(tmp_path / "forged.zip", **changed)
    with pytest.raises(Exception, match=words) as refused:
        import_from(path, other_sqlite, directory)
    assert type(refused.value).__module__ == "appliance.errors"
    assert not any(contents(other_sqlite).values())


def test_the_odd_value_is_odd(archive: Path) -> None:
    """What the tests move is what breaks careless programs, and stands in the archive as it is."""
    with archive.open("rb") as file, portable.read(file) as opened:
        assert ODD in [row["email"] for row in opened.rows("users")]
        assert loading.BATCH < opened.manifest.tables["task_states"].rows
