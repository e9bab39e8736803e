"""Rules of choosing a database."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import (
    database,
    load,
)
from appliance.errors import InvalidConfiguration
from tests.config.loading import chosen, refusal, write

PG_FIELDS = {
    "conn_string": "postgresql://u:p@h/d",
    "host": "db.example",
    "port": "5433",
    "user": "me",
    "password": "secret",
    "name": "other",
    "ssl_mode": "require",
}


class TestDatabaseSelection:
    def test_default(self, tmp_path: Path) -> None:
        """Nothing configured means SQLite at ./data/app.db."""
        settings = chosen(tmp_path)
        assert ("sqlite", str(tmp_path / "data/app.db"), "") == (
            settings.driver,
            settings.path,
            settings.conninfo,
        )

    @pytest.mark.parametrize("url", ["postgresql://u:p@h:5/d", "postgres://h/d?sslmode=require"])
    def test_postgres_url(self, tmp_path: Path, url: str) -> None:
        """Both spellings of a PostgreSQL URL choose PostgreSQL, and are handed on untouched."""
        settings = chosen(tmp_path, DATABASE_URL=url)
        assert ("postgres", url, "") == (settings.driver, settings.conninfo, settings.path)

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite://y.db", "CWD/y.db"),
            ("sqlite://./y.db", "CWD/y.db"),
            ("sqlite://data/y.db", "CWD/data/y.db"),
            ("sqlite://CWD/y.db", "CWD/y.db"),
            ("sqlite:////CWD/y.db", "CWD/y.db"),
            ("sqlite://my%20data.db", "CWD/my data.db"),
            ("file:y.db", "CWD/y.db"),
            ("file:CWD/y.db", "CWD/y.db"),
            ("file://CWD/y.db", "CWD/y.db"),
            ("./y.db", "CWD/y.db"),
            ("y.db", "CWD/y.db"),
            ("CWD/y.db", "CWD/y.db"),
            (":memory:", ":memory:"),
            ("sqlite://:memory:", ":memory:"),
            ("sqlite:///:memory:", ":memory:"),
            ("file::memory:", ":memory:"),
        ],
    )
    def test_sqlite_forms(self, tmp_path: Path, url: str, path: str) -> None:
        """Two slashes are relative to the working directory, three are absolute."""
        settings = chosen(tmp_path, DATABASE_URL=url.replace("CWD", str(tmp_path)))
        expected = path.replace("CWD", str(tmp_path))
        assert ("sqlite", expected) == (settings.driver, settings.path)

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://u:s3cret@h/d",
            "postgresql:h",
            "postgresql+psycopg://u:s3cret@h/d",
            "sqlite:x.db",
            "http://x",
            "localhost:5432/d",
            "host=h password=s3cret",
        ],
    )
    def test_unknown_forms(self, tmp_path: Path, url: str) -> None:
        """Any other form is refused with all accepted ones, and never repeated: it may be secret."""
        message = refusal(tmp_path, DATABASE_URL=url)
        assert database.ACCEPTED in message
        assert "s3cret" not in message

    def test_url_beats_everything(self, tmp_path: Path) -> None:
        """The URL wins over the driver and the fields, and says so where they differ."""
        write(tmp_path, "database: {driver: postgres, host: h, path: x.db}\n")
        loaded = load({}, tmp_path, {"DATABASE_URL": ":memory:"})
        assert ":memory:" == loaded.settings.database.path
        assert [
            "database.driver says postgres and has no effect: DATABASE_URL wins.",
            "database.path has no effect: DATABASE_URL wins.",
        ] == loaded.warnings

    def test_url_in_file(self, tmp_path: Path) -> None:
        """database.url in compozy.yaml means the same as DATABASE_URL, which is stronger."""
        write(tmp_path, "database: {url: postgres://h/d}\n")
        assert "postgres" == chosen(tmp_path).driver
        assert "sqlite" == chosen(tmp_path, DATABASE_URL="./y.db").driver

    @pytest.mark.parametrize("name", PG_FIELDS)
    def test_any_postgres_field_means_postgres(self, tmp_path: Path, name: str) -> None:
        """A file with a PostgreSQL field and no driver keeps meaning PostgreSQL."""
        write(tmp_path, f"database:\n  {name}: {PG_FIELDS[name]}\n")
        assert "postgres" == chosen(tmp_path).driver
        write(tmp_path, f"database:\n  driver: sqlite\n  {name}: {PG_FIELDS[name]}\n")
        assert "sqlite" == chosen(tmp_path).driver

    def test_postgres_fields_of_the_environment(self, tmp_path: Path) -> None:
        """A deployment that is configured by DB_* variables alone keeps meaning PostgreSQL."""
        assert "host='h'" in chosen(tmp_path, DB_HOST="h").conninfo

    def test_conninfo_of_fields(self, tmp_path: Path) -> None:
        """Fields become libpq text, quoted, with Compozy's defaults for what is absent."""
        assert (
            "host='localhost' port='5432' user='postgres' dbname='compozy' sslmode='disable'"
            == chosen(tmp_path, DB_DRIVER="postgres").conninfo
        )
        assert r"password='it\'s \\ a \"x'" in chosen(
            tmp_path, DB_DRIVER="postgresql", DB_PASSWORD="it's \\ a \"x"
        ).conninfo.replace('"', '\\"')

    def test_conn_string(self, tmp_path: Path) -> None:
        """A connection string wins over the fields; one that is neither URL nor libpq is refused."""
        assert "host=x" == chosen(tmp_path, DB_CONN_STRING="host=x", DB_HOST="y").conninfo
        assert "libpq text" in refusal(tmp_path, DB_CONN_STRING="nonsense")

    def test_sqlite_path(self, tmp_path: Path) -> None:
        """database.path alone means SQLite at that place."""
        write(tmp_path, "database: {path: y.db}\n")
        assert str(tmp_path / "y.db") == chosen(tmp_path).path
        assert ":memory:" == chosen(tmp_path, DB_DRIVER="sqlite", DB_PATH=":memory:").path

    def test_unknown_driver(self, tmp_path: Path) -> None:
        """A driver that does not exist is refused with its place and the choices."""
        write(tmp_path, "database:\n  driver: mysql\n")
        assert (
            'compozy.yaml:2:11: database.driver is "mysql", but it must be auto, sqlite or postgres.'
            == refusal(tmp_path)
        )

    def test_path_rules(self, tmp_path: Path) -> None:
        """NUL, line breaks, directories, parameters and missing parents are refused."""
        (tmp_path / "d").mkdir()
        assert "without NUL" in refusal(tmp_path, ("database.path", "a\nb"))
        assert "without NUL" in refusal(tmp_path, DATABASE_URL="file:a%00b")
        assert "without NUL" in refusal(tmp_path, DATABASE_URL="sqlite://")
        assert "names the directory" in refusal(tmp_path, DATABASE_URL="./d")
        assert "names the directory" in refusal(tmp_path, DATABASE_URL="./new/")
        assert "takes no parameters" in refusal(tmp_path, DATABASE_URL="file:x.db?mode=ro")
        assert f'"mkdir -p {tmp_path}/no/where".' in refusal(tmp_path, DATABASE_URL="no/where/x.db")
        assert "write two slashes" in refusal(tmp_path, DATABASE_URL="sqlite:///no-such/x.db")

    @given(st.text())
    def test_any_text_chooses_or_is_refused(self, text: str) -> None:
        """Whatever DATABASE_URL holds, the result is a database or a sentence, never a fault."""
        try:
            settings = chosen(Path("/tmp"), DATABASE_URL=text)
        except InvalidConfiguration:
            return
        assert bool(settings.path) != bool(settings.conninfo)

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("postgresql://me:s3cret@h:5433/d?password=s3cret", "PostgreSQL at h:5433, database d"),
            ("postgresql:///d?host=/run", "PostgreSQL at the local socket, database d"),
            ("./y.db", "SQLite at CWD/y.db"),
            (":memory:", "SQLite in memory"),
        ],
    )
    def test_label(self, tmp_path: Path, url: str, text: str) -> None:
        """The database is described to people without its secrets."""
        expected = text.replace("CWD", str(tmp_path))
        assert expected == database.label(chosen(tmp_path, DATABASE_URL=url))

    def test_label_of_fields(self, tmp_path: Path) -> None:
        """Fields and libpq text are described like a URL."""
        settings = chosen(tmp_path, DB_HOST="h", DB_PASSWORD="s3cret")
        assert "PostgreSQL at h, database compozy" == database.label(settings)
        assert "s3cret" not in repr(settings)
