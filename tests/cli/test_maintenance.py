"""Rules of `migrate`, `backup`, `restore`, `export`, `import` and `move`."""

from __future__ import annotations

from pathlib import Path

from appliance.config import DatabaseSettings
from appliance.store.datadir import DataDirectory
from tests.cli.conftest import Terminal
from tests.postgres_server import url_of


def test_migrate(terminal: Terminal) -> None:
    """Migrations go up, are shown, go down one step or to a number, and up again."""
    latest = len(terminal.json("migrate", "status"))
    assert f"{latest} migration(s) applied" in terminal.ok("migrate", "up")
    assert "0 migration(s) applied" in terminal.ok("migrate", "up")
    applied = [row["applied_at"] for row in terminal.json("migrate", "status")]
    assert None not in applied
    assert f"at {latest - 1}." in terminal.ok("migrate", "down", "--yes")
    assert "at 0." in terminal.ok("migrate", "down", "--to", "0", "--yes")
    assert f"{latest} migration(s) applied" in terminal.ok("migrate", "up")


def test_migrate_down_asks(terminal: Terminal) -> None:
    """What loses data is not done unasked: without a terminal it needs --yes."""
    terminal.ok("migrate", "up")
    assert "--yes" in terminal.fails(64, "migrate", "down")
    assert None not in [row["applied_at"] for row in terminal.json("migrate", "status")]


def test_backup_and_restore(terminal: Terminal, tmp_path: Path) -> None:
    """A backup brings back what was there, and what was there meanwhile is kept."""
    terminal.ok("auth", "create-user", "--email", "before@example.org")
    name = terminal.json("backup")["name"]
    assert [name] == [entry["name"] for entry in terminal.json("backup", "list")]
    assert 2 == terminal.json("backup", "verify", name)["counts"]["users"]
    assert "copy.zip is written" in terminal.ok("backup", "download", name, "copy.zip")
    assert "exists already" in terminal.fails(64, "backup", "download", name, "copy.zip")
    terminal.ok("auth", "create-user", "--email", "after@example.org")
    assert "Nothing was changed" in terminal.ok("restore", "copy.zip", "--dry-run")
    assert 3 == len(terminal.json("auth", "list-users"))
    assert "What was there before is in" in terminal.ok("restore", "copy.zip")
    emails = [user["email"] for user in terminal.json("auth", "list-users")]
    assert ["admin@localhost", "before@example.org"] == emails
    assert "is deleted" in terminal.ok("backup", "delete", name)
    terminal.fails(66, "backup", "verify", name)


def test_restore_elsewhere(terminal: Terminal) -> None:
    """A backup can be restored into another data directory, which then needs a key."""
    name = terminal.json("backup")["name"]
    text = terminal.ok("restore", f"data/backups/{name}", "--to", "other")
    assert "auth bootstrap --force" in text
    terminal.ok("auth", "bootstrap", "--force", "--data-dir", "other")
    assert 1 == len(terminal.json("auth", "list-users", "--data-dir", "other"))


def test_damaged_archive(terminal: Terminal) -> None:
    """A damaged archive is 65 and touches nothing."""
    (terminal.directory / "x.zip").write_bytes(b"PK nothing")
    terminal.fails(65, "restore", "x.zip")
    assert not (terminal.directory / "data/app.db").exists()


def test_locked(terminal: Terminal) -> None:
    """What works on the database itself is refused (73) while another process holds it."""
    name = terminal.json("backup")["name"]
    (terminal.directory / f"data/backups/{name}").rename(terminal.directory / "copy.zip")
    commands = ("migrate up", "migrate down --yes", "restore copy.zip", "auth bootstrap --force")
    with DataDirectory(terminal.directory / "data").lock("http://127.0.0.1:1"):
        for command in commands:
            assert "in use by process" in terminal.fails(73, *command.split())


def test_export_and_import(terminal: Terminal) -> None:
    """Everything leaves one database and fills another; keys go with it."""
    terminal.ok("auth", "create-user", "--email", "before@example.org")
    text = terminal.ok("export", "all.zip")
    assert "all.zip holds 2 users, 1 api_keys, " in text
    assert "exists already" in terminal.fails(64, "export", "all.zip")
    assert "no directory" in terminal.fails(66, "export", "nowhere/all.zip")
    assert "Imported 2 users" in terminal.ok("import", "all.zip", "--data-dir", "other")
    key = (terminal.directory / "data/admin.key").read_text().strip()
    users = terminal.json("auth", "list-users", "--data-dir", "other", "--api-key", key)
    assert ["admin@localhost", "before@example.org"] == [user["email"] for user in users]


def test_import_into_what_is_not_empty(terminal: Terminal) -> None:
    """It is refused (73) with what is there; --merge adds what is missing and tells what it did."""
    terminal.ok("migrate", "up")
    assert "holds no rows" in terminal.ok("export", "none.zip")
    assert "The archive is empty." in terminal.ok("import", "none.zip", "--merge")
    terminal.ok("auth", "create-user", "--email", "before@example.org")
    terminal.ok("export", "all.zip")
    refused = terminal.fails(73, "import", "all.zip")
    assert "The database holds users, api_keys, " in refused
    merged = terminal.ok("import", "all.zip", "--merge")
    assert "users: 0 added, 2 there already, 0 refused" in merged
    assert "no archive" in terminal.fails(66, "import", "nothing.zip")


def test_move(terminal: Terminal, postgres_settings: DatabaseSettings) -> None:
    """There and back again: the exports are equal, and nothing says the password."""
    terminal.ok("auth", "create-user", "--email", "before@example.org")
    terminal.ok("export", "before.zip")
    (terminal.directory / "back").mkdir(0o700)
    url = url_of(postgres_settings)
    told = terminal.run("move", MOVE_TO=url)
    assert 0 == told.exit_code, told.stderr
    assert "Reading SQLite at" in told.stderr
    assert "Moved 2 users" in told.stdout
    assert "both hold the same" in told.stdout
    assert "secret" not in told.output
    assert "Moved" in terminal.ok("move", "--to", "back/app.db", DATABASE_URL=url)
    terminal.ok("export", "after.zip", "--data-dir", "back")
    before, after = (
        (terminal.directory / f"{name}.zip").read_bytes() for name in ("before", "after")
    )
    assert before == after
    assert "already" in terminal.fails(73, "move", "--to", "back/app.db").splitlines()[-1]
