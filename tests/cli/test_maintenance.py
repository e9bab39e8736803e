"""Rules of `migrate`, `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path

from appliance.store.datadir import DataDirectory
from tests.cli.conftest import Terminal


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
