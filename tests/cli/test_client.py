"""Rules of the client: which server, which key, and what becomes of its errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from appliance.errors import ApplianceError, Conflict, Locked, NotFound, StorageFull, Unauthorized
from appliance.operations.tokens import new_key
from appliance.store.datadir import DataDirectory
from tests.cli.conftest import Terminal


class QuietServer(ThreadingHTTPServer):
    """A server that keeps to itself that a client went away before it was answered."""

    def handle_error(self, *_: Any) -> None:
        pass


class Stub:
    """A server of any behaviour: answers every request with the same, and keeps what came."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes = b"{}"
        self.delay = 0.0
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self._server = QuietServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def problem(self, error: ApplianceError) -> None:
        """Answer as a server does that met *error*."""
        self.status = error.status
        self.body = json.dumps(
            {"code": error.code, "detail": error.message, "details": error.details}
        ).encode()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.keys.append(self.headers.get("authorization"))
                stub.paths.append(self.path)
                time.sleep(stub.delay)
                self.send_response(stub.status)
                self.end_headers()
                self.wfile.write(stub.body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A stub, stopped in the end."""
    server = Stub()
    yield server
    server.close()


def page(runs: list[dict[str, str]], cursor: str | None = None) -> bytes:
    data = {"executions": runs, "page": {"limit": 1, "next_cursor": cursor}}
    return json.dumps({"status": 200, "message": "", "data": data}).encode()


def test_admin_key_stays_at_home(terminal: Terminal, stub: Stub) -> None:
    """The admin key goes to the server that made it, and to no other that is named."""
    stub.body = page([])
    data = DataDirectory(terminal.directory / "data")
    data.prepare()
    key = new_key().text
    data.write_secret("admin.key", key)
    terminal.ok("exec", "list", "--base-url", stub.url)
    with data.lock(stub.url):
        terminal.ok("exec", "list")
        terminal.ok("exec", "list", COMPOZY_BASE_URL=f"{stub.url}/")
        terminal.ok("exec", "list", COMPOZY_BASE_URL=stub.url.replace("127.0.0.1", "localhost"))
        terminal.ok("exec", "list", COMPOZY_API_KEY="cpzy_mine")
    local, mine = f"Bearer {key}", "Bearer cpzy_mine"
    assert [None, local, local, local, mine] == stub.keys


def test_project_does_not_choose_the_server(terminal: Terminal, stub: Stub) -> None:
    """What stands in a project cannot send the key of its user somewhere."""
    (terminal.directory / "compozy.yaml").write_text(f"name: p\ncli: {{base_url: '{stub.url}'}}\n")
    terminal.ok("exec", "list")
    assert [] == stub.keys


@pytest.mark.parametrize(
    "error",
    [
        NotFound("There is no run."),
        Conflict("Taken."),
        Unauthorized("Wrong key."),
        StorageFull("Full."),
        Locked("Locked."),
    ],
    ids=lambda error: error.code,
)
def test_problems_keep_sentence_and_exit_code(
    terminal: Terminal, stub: Stub, error: ApplianceError
) -> None:
    """An error of the server is the same error here."""
    stub.problem(error)
    message = terminal.fails(error.exit_code, "exec", "list", "--base-url", stub.url)
    assert f"error: {error.message}\n" == message


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"code": 1}'])
def test_no_server_of_ours(terminal: Terminal, stub: Stub, body: bytes) -> None:
    """Something else that answers is 69, not a fault."""
    stub.status, stub.body = 502, body
    message = terminal.fails(69, "exec", "list", "--base-url", stub.url)
    assert "answered 502" in message


def test_answer_of_another_kind(terminal: Terminal, stub: Stub) -> None:
    """A page that is no answer of the API is told as such."""
    stub.body = b"<html>hello</html>"
    assert "is no API" in terminal.fails(69, "exec", "list", "--base-url", stub.url)


def test_slow_server(terminal: Terminal, stub: Stub) -> None:
    """A server that does not answer in time is 75."""
    stub.delay = 1.0
    words = ("exec", "list", "--base-url", stub.url, "--timeout", "50ms")
    assert "did not answer in time" in terminal.fails(75, *words)


def test_nobody_there(terminal: Terminal) -> None:
    """A server that cannot be reached is 69 and named."""
    message = terminal.fails(69, "exec", "list", "--base-url", "http://127.0.0.1:1")
    assert "http://127.0.0.1:1 cannot be reached" in message


def test_wrong_address(terminal: Terminal) -> None:
    """An address that is none is told as such."""
    assert "nonsense" in terminal.fails(69, "exec", "list", "--base-url", "nonsense")


def test_pages(terminal: Terminal, stub: Stub) -> None:
    """A listing is fetched page by page, and no further than was asked for."""
    stub.body = page([{"workflow_exec_id": "x"}], "next")
    assert 3 == len(terminal.json("exec", "list", "--base-url", stub.url, "--limit", "3"))
    assert [
        "/api/v0/executions/workflows?limit=3",
        "/api/v0/executions/workflows?limit=2&cursor=next",
        "/api/v0/executions/workflows?limit=1&cursor=next",
    ] == stub.paths
