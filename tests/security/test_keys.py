"""S11: keys and sessions. What has ended opens nothing, not even what was opened with it before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.reliability.serving import Server

from .twins import API
from .wire import Line, request

PASSWORD = "correct horse battery"


class Guest(NamedTuple):
    """A user with a key and a session."""

    user_id: str
    key_id: str
    key: str
    session: str


@pytest.fixture
def guest(server: Server, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """Somebody new, who is gone afterwards."""
    email = f"{abs(hash(request.node.name))}@guests.example"
    user = server.call("POST", "/users", {"email": email, "password": PASSWORD})["id"]
    made = server.call("POST", "/auth/generate", {"user_id": user})
    begun = server.call("POST", "/auth/login", {"email": email, "password": PASSWORD})
    yield Guest(user, made["key"]["id"], made["api_key"], begun["token"])
    if user in json.dumps(server.call("GET", "/users?limit=200")):
        _delete(server, f"/users/{user}")


def _delete(server: Server, path: str, token: str = "") -> None:
    with Line(server.url) as line:
        key = f"Bearer {token or server.admin_key}"
        line.send(request("DELETE", API + path, authorization=key))
        answer = line.answer()
    assert answer is not None
    assert 204 == answer.status


def _logout(server: Server, token: str) -> None:
    with Line(server.url) as line:
        line.send(request("POST", f"{API}/auth/logout", authorization=f"Bearer {token}"))
        answer = line.answer()
    assert answer is not None
    assert 204 == answer.status


@contextmanager
def listening(server: Server, token: str) -> Iterator[Line]:
    """Open the stream of all runs and let it begin."""
    with Line(server.url, limit_s=5) as line:
        path = f"{API}/executions/stream"
        line.send(request("GET", path, authorization=f"Bearer {token}"))
        assert b"200" in (line.until(b"\r\n\r\n") or b"")
        line.until(b"retry: ")
        yield line


def heard_after(server: Server, token: str, end: Callable[[], None]) -> bytes:
    """Return what a stream told first of a run that was begun after *end*."""
    with listening(server, token) as line:
        end()
        server.call("POST", "/workflows/plain/executions", {"input": {}})
        line.until(b"event: ")
        return line.until(b"\n\n") or b""


ENDS: dict[str, Callable[[Server, Guest], None]] = {
    "the key is revoked": lambda server, guest: _delete(server, f"/auth/keys/{guest.key_id}"),
    "the user is removed": lambda server, guest: _delete(server, f"/users/{guest.user_id}"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_stream_ends_with_its_key(
    server: Server, guest: Guest, end: Callable[[Server, Guest], None]
) -> None:
    """What happens after a revocation is not told to those who listened before it."""
    told = heard_after(server, guest.key, lambda: end(server, guest))
    assert b"error" == told.partition(b"\n")[0]
    assert b'"unauthorized"' in told


def test_a_stream_ends_with_its_session(server: Server, guest: Guest) -> None:
    """Logging out ends what the session was listening to; the key of the same user goes on."""
    told = heard_after(server, guest.session, lambda: _logout(server, guest.session))
    assert b'"unauthorized"' in told
    with listening(server, guest.key):
        pass


def test_whoever_may_listen_hears_it(server: Server, guest: Guest) -> None:
    """This test can fail: a stream whose key goes on tells of the run."""
    told = heard_after(server, guest.key, lambda: None)
    assert b"workflow_start" == told.partition(b"\n")[0]
