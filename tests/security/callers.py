"""Everybody who may ask: with no key, with one that is none any more, as a user, as an admin."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.reliability.serving import Server

from .twins import API
from .wire import Answer, Line, request

PASSWORD = "a password of somebody"
STRANGER, USER, ADMIN = range(3)
"""Columns of a row of the table."""


class Caller(NamedTuple):
    """Somebody: which column is theirs, and the header fields that they send."""

    column: int
    fields: dict[str, str]


def bearer(token: str) -> dict[str, str]:
    """Return the header field that shows a token."""
    return {"authorization": f"Bearer {token}"}


class People:
    """Makes users of a server, with keys and sessions; the names of all begin alike."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name
        self._line = Line(server.url)
        self.users: list[str] = []

    def ask(self, method: str, path: str, body: bytes | None = None, /, **fields: str) -> Answer:
        """Send a request as *fields* say and return the answer."""
        data = request(method, path, body, **fields)
        answer = self._try(data) or self._try(data)  # an idle connection may have been ended
        assert answer is not None, f"{method} {path} was not answered"
        return answer

    def _try(self, data: bytes) -> Answer | None:
        answer = None
        with suppress(ConnectionError):
            self._line.send(data)
            answer = self._line.answer(bodiless=data.startswith(b"HEAD "))
        if answer is None or b"connection: close" in answer.head.lower():
            self._line.close()
            self._line = Line(self._server.url)
        return answer

    def email(self, name: str) -> str:
        """Return the address of a user."""
        return f"{name}@{self._name}.example"

    def user(self, name: str, role: str = "user") -> str:
        """Add a user and return the id."""
        wish = {"email": self.email(name), "password": PASSWORD, "role": role}
        found: str = self._server.call("POST", "/users", wish)["id"]
        self.users.append(found)
        return found

    def key(self, user_id: str, **wish: Any) -> tuple[str, str]:
        """Make a key; return its id and its text."""
        made = self._server.call("POST", "/auth/generate", {"user_id": user_id, **wish})
        return made["key"]["id"], made["api_key"]

    def session(self, name: str) -> str:
        """Log in and return the token."""
        wish = {"email": self.email(name), "password": PASSWORD}
        token: str = self._server.call("POST", "/auth/login", wish)["token"]
        return token

    def change(self, user_id: str, **changes: str) -> None:
        """Change a user as admin."""
        self._server.call("PATCH", f"/users/{user_id}", changes)

    def delete(self, path: str) -> None:
        """Remove a thing as admin."""
        assert 204 == self.ask("DELETE", API + path, **bearer(self._server.admin_key)).status

    def close(self) -> None:
        """Remove everybody who is left."""
        for user_id in self.users:
            self.ask("DELETE", f"{API}/users/{user_id}", **bearer(self._server.admin_key))
        self._line.close()


def everybody(people: People, admin_key: str) -> dict[str, Callable[[], Caller]]:
    """Return everybody by name, each to be called up for one request."""
    ada, root = people.user("ada"), people.user("root", "admin")
    _, key = people.key(ada)
    sessions = {name: people.session(name) for name in ("ada", "root")}

    def as_(column: int, **fields: str) -> Callable[[], Caller]:
        return lambda: Caller(column, fields)

    def again(column: int, name: str) -> Callable[[], Caller]:
        """Somebody who logs in anew where the session was ended."""

        def call() -> Caller:
            if people.ask("GET", f"{API}/auth/me", **bearer(sessions[name])).status == 401:
                sessions[name] = people.session(name)
            return Caller(column, bearer(sessions[name]))

        return call

    return {
        "without a key": as_(STRANGER),
        "an empty key": as_(STRANGER, authorization="Bearer "),
        "garbage": as_(STRANGER, **bearer("nonsense")),
        "a mistyped key": as_(STRANGER, **bearer(key[:-1] + ("a" if key[-1] != "a" else "b"))),
        "a key that nobody made": as_(STRANGER, **bearer(_unknown("cpzy_"))),
        "a session that nobody began": as_(STRANGER, **bearer(_unknown("cpzs_"))),
        "another scheme": as_(STRANGER, authorization=f"Basic {key}"),
        "a key in a cookie": as_(STRANGER, cookie=f"session={key}; token={key}"),
        "a key in another field": as_(STRANGER, x_api_key=admin_key, x_admin_key=admin_key),
        **{name: as_(STRANGER, **bearer(token)) for name, token in _former(people).items()},
        "a user's key": as_(USER, **bearer(key)),
        "a user's session": again(USER, "ada"),
        **{name: as_(USER, **bearer(token)) for name, token in _lesser(people, root).items()},
        "an admin's key": as_(ADMIN, **bearer(people.key(root)[1])),
        "an admin's session": again(ADMIN, "root"),
    }  # fmt: skip


def _unknown(marker: str) -> str:
    from appliance.operations import tokens

    return (tokens.new_key() if marker == "cpzy_" else tokens.new_session()).text


def _former(people: People) -> dict[str, str]:
    """Return tokens that opened something once."""
    gone, changed = people.user("gone"), people.user("changed")
    revoked_id, revoked = people.key(changed)
    found = {
        "the key of a removed user": people.key(gone)[1],
        "the session of a removed user": people.session("gone"),
        "a session from before the password": people.session("changed"),
        "a revoked key": revoked,
        "a session that was ended": people.session("ada"),
    }
    moment = datetime.now(UTC) + timedelta(seconds=2)
    found["an expired key"] = people.key(changed, expires_at=moment.isoformat())[1]
    for token in reversed(found.values()):  # the one that will not last first
        assert 200 == people.ask("GET", f"{API}/auth/me", **bearer(token)).status
    people.delete(f"/users/{gone}")
    people.users.remove(gone)
    people.change(changed, password="another password")
    people.delete(f"/auth/keys/{revoked_id}")
    people.ask("POST", f"{API}/auth/logout", **bearer(found["a session that was ended"]))
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
    return found


def _lesser(people: People, root: str) -> dict[str, str]:
    """Return tokens that were made by or for admins and are no admin's."""
    fallen, risen = people.user("fallen", "admin"), people.user("risen")
    found = {
        "a user's key of an admin": people.key(root, role="user")[1],
        "the key of a former admin": people.key(fallen)[1],
        "the session of a former admin": people.session("fallen"),
        "the former key of a new admin": people.key(risen)[1],
    }
    people.change(fallen, role="user")
    people.change(risen, role="admin")
    return found
