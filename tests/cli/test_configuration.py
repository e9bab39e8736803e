"""Rules of `config`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Terminal


def test_show(terminal: Terminal) -> None:
    """Every setting is shown with its value and its origin; secrets are masked."""
    (terminal.directory / "compozy.yaml").write_text("server: {port: 7}\n")
    rows = terminal.json("config", "show", "--host", "::1", COMPOZY_API_KEY="s3cret")
    shown = {row["setting"]: (row["value"], row["origin"]) for row in rows}
    assert ("7", "compozy.yaml") == shown["server.port"]
    assert ("::1", "flag") == shown["server.host"]
    assert ("********", "environment") == shown["cli.api_key"]
    assert ("10s", "default") == shown["server.timeouts.http_read_header"]


@pytest.mark.parametrize("style", ["table", "yaml", "json", "tui"])
def test_formats(terminal: Terminal, style: str) -> None:
    """The format is chosen by -o; the old name of the table still works."""
    text = terminal.ok("config", "show", "-o", style)
    beginnings = {"table": "SETTING  ", "tui": "SETTING  ", "yaml": "- setting: ", "json": "[\n"}
    assert text.startswith(beginnings[style])


def test_flags(terminal: Terminal) -> None:
    """A flag can be given in both senses."""
    for words, value in (
        (["--no-auth"], "false"),
        (["--auth-enabled"], "true"),
        (["--no-db-auto-migrate"], "false"),
    ):
        rows = terminal.json("config", "show", *words)
        name = "database.auto_migrate" if "migrate" in words[0] else "server.auth.enabled"
        assert [value] == [row["value"] for row in rows if row["setting"] == name]


def test_validate(terminal: Terminal) -> None:
    """A valid configuration says which database it chooses and what has no effect."""
    (terminal.directory / "compozy.yaml").write_text("redis: {url: x}\nmode: standalone\n")
    result = terminal.run("config", "validate")
    assert 0 == result.exit_code
    assert f"SQLite at {terminal.directory}/data/app.db" in result.stdout
    assert (
        "compozy.yaml: mode has no effect here.\ncompozy.yaml: redis has no effect here.\n"
        == result.stderr
    )


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"DATABASE_URL": "mysql://x"}, "postgresql://, postgres://, sqlite://, file:"),
        ({"SERVER_PORT": "x"}, "a whole number from 0 to 65535"),
        ({"SERVER_AUTH_ENABLED": "no", "SERVER_HOST": "0.0.0.0"}, "listens on 0.0.0.0"),
    ],
    ids=str,
)
def test_invalid(terminal: Terminal, environ: dict[str, str], text: str) -> None:
    """A wrong configuration is 78 and one sentence."""
    message = terminal.fails(78, "config", "validate", **environ)
    assert text in message
    assert 1 == message.count("\n")


def test_pgvector(terminal: Terminal) -> None:
    """SQLite with pgvector is refused already here."""
    (terminal.directory / "compozy.yaml").write_text(
        "knowledge:\n  vector_dbs: [{id: v, provider: pgvector}]\n"
    )
    assert "incompatible with SQLite" in terminal.fails(78, "config", "validate")


def test_list_backends(terminal: Terminal) -> None:
    """Every kind of database is listed, with the one that is chosen."""
    rows = terminal.json("config", "list-backends", DATABASE_URL="postgres://h/d")
    assert [("sqlite", False), ("postgres", True)] == [
        (row["backend"], row["chosen"]) for row in rows
    ]


def test_warnings(terminal: Terminal) -> None:
    """A setting that loses against another is told, once."""
    result = terminal.run("config", "show", DATABASE_URL=":memory:", DB_PATH="x.db")
    assert "warning: database.path has no effect: DATABASE_URL wins.\n" == result.stderr
