"""Rules of `auth`."""

from __future__ import annotations

import pytest

from appliance.config import DatabaseSettings
from tests.cli.conftest import Terminal


@pytest.fixture(params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """A terminal where the database is of one kind, then of the other; empty, not migrated."""
    if request.param == "postgres":
        settings: DatabaseSettings = request.getfixturevalue("empty_postgres")
        monkeypatch.setenv("DB_CONN_STRING", settings.conninfo)
    return terminal


def test_user_with_password(place: Terminal) -> None:
    """A user who was made here can log in on a fresh database, and the session works as a key."""
    made = place.json(
        "auth",
        "create-user",
        "--email",
        "ada@example.org",
        "--password-stdin",
        stdin="correct horse\n",
    )
    assert ("ada@example.org", "user") == (made["email"], made["role"])
    login = ("auth", "login", "--email", "ada@example.org", "--password-stdin")
    session = place.json(*login, stdin="correct horse\n")
    shown = place.json("auth", "whoami", "--api-key", session["token"])
    assert (made["id"], "user") == (shown["user_id"], shown["role"])
    assert "wrong" not in place.fails(77, *login, stdin="wrong horse\n").replace(
        "password is wrong", ""
    )


def test_users(terminal: Terminal) -> None:
    """Users are listed, changed by address or id, and removed."""
    made = terminal.json("auth", "create-user", "--email", "Ada@example.org")
    assert "already" in terminal.fails(65, "auth", "create-user", "--email", "ada@example.org")
    terminal.json("auth", "update-user", "ADA@example.org", "--role", "admin")
    users = terminal.json("auth", "list-users", "--role", "admin")
    assert ["admin@localhost", "Ada@example.org"] == [user["email"] for user in users]
    terminal.json("auth", "update-user", made["id"], "--email", "b@example.org", "--role", "user")
    assert "is removed" in terminal.ok("auth", "delete-user", "b@example.org", "--force")
    assert "no user" in terminal.fails(66, "auth", "update-user", "b@example.org", "--role", "user")
    assert "last admin" in terminal.fails(65, "auth", "delete-user", "admin@localhost", "--force")


def test_keys(terminal: Terminal) -> None:
    """A key is shown once, works, is listed without its text and opens nothing when revoked."""
    terminal.json("auth", "create-user", "--email", "ada@example.org")
    text = terminal.ok(
        "auth",
        "generate",
        "--user",
        "ada@example.org",
        "--name",
        "n",
        "--expires",
        "30d",
        "-o",
        "table",
    ).strip()
    assert text.startswith("cpzy_")
    assert "ada@example.org" == terminal.json("auth", "whoami", COMPOZY_API_KEY=text)["email"]
    terminal.fails(77, "auth", "list-users", COMPOZY_API_KEY=text)
    (key,) = terminal.json("auth", "list", "--user", "ada@example.org")
    assert key["expires_at"] is not None
    assert text not in terminal.ok("auth", "list", "-o", "table")
    assert "is revoked" in terminal.ok("auth", "revoke", key["id"], "--force")
    terminal.fails(77, "auth", "whoami", COMPOZY_API_KEY=text)


def test_bootstrap(place: Terminal) -> None:
    """The first admin is made once, and again only by force, which makes another key."""
    assert "no admin yet" in place.ok("auth", "bootstrap", "--check")
    assert "data/admin.key" in place.ok("auth", "bootstrap", "--email", "me@example.org")
    key_file = place.directory / "data/admin.key"
    first = key_file.read_text()
    assert "an admin already" in place.fails(65, "auth", "bootstrap")
    assert "There is an admin." in place.ok("auth", "bootstrap", "--check")
    assert "me@example.org" == place.json("auth", "whoami")["email"]
    assert 0o600 == key_file.stat().st_mode & 0o777
    place.ok("auth", "bootstrap", "--force", "--email", "me@example.org")
    assert first != key_file.read_text()
    assert "me@example.org" == place.json("auth", "whoami")["email"]


def test_password_is_never_an_argument(terminal: Terminal) -> None:
    """A password given as an argument is refused: other users would see it."""
    words = ("auth", "create-user", "--email", "a@example.org")
    terminal.fails(64, *words, "--password=correct horse")
    assert "empty" in terminal.fails(64, *words, "--password-stdin")


@pytest.mark.parametrize(
    "words",
    [
        ["update-user", "x"],
        ["delete-user", "x"],
        ["revoke", "x"],
        ["generate", "--expires", "soon"],
    ],
    ids=str,
)
def test_refused(terminal: Terminal, words: list[str]) -> None:
    """Nothing to change, nobody to ask, no date: refused with a sentence."""
    assert terminal.run("auth", *words).exit_code in {64, 65}
