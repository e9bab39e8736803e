"""S13: secrets are planted wherever a server is given one, and looked for wherever they do not belong."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from appliance.config import DatabaseSettings
from tests.postgres_server import PostgresServer
from tests.reliability.serving import Server

from .planted import Places, files, leaks, postgres_rows, processes, sqlite_rows
from .twins import API, PROJECT
from .wire import Line, request

EMAIL = "canary-in-plain-sight@example.com"
"""No secret: it shows which places were really looked at."""
PLANTED = {
    "the password of the database": "canary-db-8c1f2a",
    "the password of a user": "canary-user-77d0e3",
    "a wrong password": "canary-wrong-19be44",
    "the new password": "canary-new-5a90cc",
    "the secret of the webhook": "canary-hook-e04b71",
    "a secret of the project": "canary-project-b2f6d8",
}


class Scene(NamedTuple):
    """A server that has seen every secret, what it knows, and all that can be looked at."""

    server: Server
    secrets: dict[str, str]
    places: Places


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def scene(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    migrated_postgres: str,
) -> Iterator[Scene]:
    """Let a server live through all that it does with secrets, and gather what there is to see."""
    home = tmp_path_factory.mktemp("secrets")
    (home / ".env").write_text(
        f"HOOK_SECRET={PLANTED['the secret of the webhook']}\n"
        f"PROJECT_TOKEN={PLANTED['a secret of the project']}\n"
    )
    with ExitStack() as stack:
        database = DatabaseSettings(path="app.db")
        if request.param == "postgres":
            conninfo = stack.enter_context(postgres_server.database(migrated_postgres))
            password = PLANTED["the password of the database"]
            database = DatabaseSettings(
                driver="postgres", conninfo=f"{conninfo} password={password}"
            )
        server = Server(home, database, PROJECT, RUNTIME_LOG_LEVEL="debug")
        process = stack.enter_context(server.running())
        secrets = PLANTED | _live(server)
        places = _looked_at(server, process.pid, database)
        yield Scene(server, secrets, places)


def _live(server: Server) -> dict[str, str]:
    """Do everything that a secret has a part in, well and badly, and return the secrets made."""
    password, new = PLANTED["the password of a user"], PLANTED["the new password"]
    user = server.call("POST", "/users", {"email": EMAIL, "password": password})["id"]
    key = server.call("POST", "/auth/generate", {"user_id": user})["api_key"]
    gone = server.call("POST", "/auth/generate", {"name": "gone"})
    session = server.call("POST", "/auth/login", {"email": EMAIL, "password": password})["token"]
    server.call("PATCH", f"/users/{user}", {"password": new})
    for token in (key, gone["api_key"], key[:-1] + "?", session):
        _ask(server, "GET", f"/auth/me?api_key={key}", token)
    _ask(server, "DELETE", f"/auth/keys/{gone['key']['id']}", server.admin_key)
    _ask(server, "GET", f"/executions/workflows/{gone['api_key']}", gone["api_key"])
    wrong = {"email": EMAIL, "password": PLANTED["a wrong password"]}
    _ask(server, "POST", "/auth/login", "", json.dumps(wrong).encode())
    _ask(server, "POST", "/auth/login", "", json.dumps(wrong).encode()[:-3])
    for sign in ("0" * 64, PLANTED["the secret of the webhook"]):
        _ask(server, "POST", "/hooks/signed", "", b"{}", x_sign=sign)
    return {
        "the admin key": server.admin_key,
        "the key of a user": key,
        "a revoked key": gone["api_key"],
        "the token of a session": session,
    }


def _ask(
    server: Server, method: str, path: str, token: str, body: bytes | None = None, **fields: str
) -> bytes:
    if token:
        fields["authorization"] = f"Bearer {token}"
    with Line(server.url) as line:
        line.send(request(method, API + path, body, **fields))
        answer = line.answer()
    assert answer is not None
    assert answer.status < 500, answer
    return answer.head + answer.body


def _looked_at(server: Server, pid: int, database: DatabaseSettings) -> Places:
    places = _during_a_run(server, pid)
    _backup(server)
    for path in _pages(server):
        places[f"GET {path}"] = _page(server, path)
    allowed = {server.home / "data" / "admin.key", server.home / ".env"}
    places |= files(server.home, allowed)
    if database.conninfo:
        return places | postgres_rows(database.conninfo)
    return places | sqlite_rows(server.home / "app.db")


def _during_a_run(server: Server, pid: int) -> Places:
    """Look at the processes while tools run: one of the project and a native one."""
    native = {"id": "native", "tasks": [{"id": "s", "tool": "cp__list_dir", "with": {"path": "."}}]}
    server.call("PUT", "/workflows/native", native)
    places = {}
    for what in ("fail", "ok"):
        body = {"input": {"what": what}}
        ended = server.call("POST", "/workflows/tells/executions/sync", body)
        places[f"the run that was told {what}"] = json.dumps(ended).encode()
    server.call("POST", "/workflows/native/executions/sync", {"input": {}})
    holding = threading.Thread(
        target=server.call,
        args=("POST", "/workflows/tells/executions/sync", {"input": {"what": "hold"}}),
    )
    holding.start()
    time.sleep(0.3)
    places |= processes(pid)
    holding.join()
    return places


def _backup(server: Server) -> None:
    _ask(server, "POST", "/backups", server.admin_key)


def _pages(server: Server) -> list[str]:
    """Return every address that needs no name of a thing, and has an end."""
    paths: dict[str, Any] = json.loads(_page(server, "/openapi.json").partition(b"\r\n\r\n")[2])[
        "paths"
    ]
    return [
        path
        for path, methods in paths.items()
        if "get" in methods and "{" not in path and not path.endswith("/stream")
    ]


def _page(server: Server, path: str) -> bytes:
    with Line(server.url) as line:
        line.send(request("GET", path, authorization=f"Bearer {server.admin_key}"))
        answer = line.answer()
    assert answer is not None
    return answer.head + b"\r\n\r\n" + answer.body


def test_no_secret_is_where_it_does_not_belong(scene: Scene) -> None:
    """Not in the database, its log, a backup, the log, a page, an answer or what processes show."""
    own = {name for name in scene.places if name.startswith("the environment of")}
    elsewhere = {name: text for name, text in scene.places.items() if name not in own}
    assert [] == leaks(elsewhere, scene.secrets)


def test_tools_get_what_is_meant_for_them(scene: Scene) -> None:
    """The variables of the project reach its functions, and nothing of the server reaches anybody."""
    mine = ("the secret of the webhook", "a secret of the project")
    shown = {name: text for name, text in scene.places.items() if "the environment of" in name}
    others = {name: secret for name, secret in scene.secrets.items() if name not in mine}
    assert [] == leaks(shown, others)
    knowing = {found.partition(" in ")[2] for found in leaks(shown, {"it": PLANTED[mine[1]]})}
    assert set() < knowing < set(shown), "native tools need no variables, functions do"


def test_every_place_was_looked_at(scene: Scene) -> None:
    """This test can fail: what is no secret is found in the same places by the same search."""
    found = " ".join(leaks(scene.places, {"it": EMAIL}))
    assert f"GET {API}/users" in found
    assert f"GET {API}/audit" in found
    if (scene.server.home / "app.db").exists():
        assert "in app.db" in found
        assert ".zip: " in found
        assert "the dump" in found
    else:
        assert "the table users" in found
    assert leaks(scene.places, {"it": "server.started"}) == ["it in log"]
    command = " ".join(leaks(scene.places, {"it": "-m"}))
    assert "the command line of" in command


def test_files_are_for_their_owner_only(scene: Scene) -> None:
    """Nobody else on the machine can read the key, the database or a backup."""
    data = scene.server.home / "data"
    private = [data, *data.rglob("*"), *scene.server.home.glob("app.db*")]
    assert len(private) >= 3
    assert [] == [str(path) for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgresql://me:{}@127.0.0.1:1/db?connect_timeout=1",
        "postgresql://me:{}@127.0.0.1:port/db",
        pytest.param(
            "host=127.0.0.1 port=1 user=me password={} dbname=db", marks=pytest.mark.reliability
        ),
        pytest.param("host=127.0.0.1 password={} nonsense", marks=pytest.mark.reliability),
    ],
)
def test_a_start_that_fails_tells_no_password(tmp_path: Path, conninfo: str) -> None:
    """Neither where the database does not answer nor where its address cannot be read."""
    secret = "canary@db+3f"
    text = conninfo.format(quote(secret) if "//" in conninfo else secret)
    server = Server(tmp_path, DatabaseSettings(driver="postgres", conninfo=text))
    with server.launched() as process:
        assert process.wait(20) in {65, 69, 78}
    log = (tmp_path / "log").read_bytes()
    assert log.startswith(b"error: ")
    assert [] == leaks(
        files(tmp_path, set()), {"the password": secret, "a part of it": "canary@db"}
    )
