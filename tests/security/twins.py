"""The same server twice, on SQLite and on PostgreSQL, asked the same: one answer is expected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server

from .wire import Answer, Line, request

API = "/api/v0"
PROJECT = Path(__file__).parent / "project"
HOOK_SECRET = "the-secret-of-the-webhook"
_FREE = {"RATELIMIT_GLOBAL_LIMIT": "0", "RATELIMIT_API_KEY_LIMIT": "0"}
"""No request of a test is one too many."""

Answers = dict[str, Answer]
"""The answer of each server, by the name of its database."""


class Twins:
    """Both servers, and one connection to each that is made anew where it was ended."""

    def __init__(self, servers: dict[str, Server], pids: dict[str, int]) -> None:
        self.servers = servers
        self.pids = pids
        self._lines: dict[str, Line] = {}
        self._keys = {name: server.admin_key for name, server in servers.items()}

    def close(self) -> None:
        """End the connections."""
        for line in self._lines.values():
            line.close()

    def ask(
        self,
        method: str,
        target: str | bytes,
        body: bytes | None = None,
        /,
        only: str = "",
        **fields: str | bytes,
    ) -> Answers:
        """Send both, or *only* one, a request as admin; return what they answered."""
        found = {}
        for name in self.servers:
            if only not in {"", name}:
                continue
            key = {"authorization": f"Bearer {self._keys[name]}"}
            found[name] = self._talk(name, request(method, target, body, **{**key, **fields}))
        return found

    def call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """Do the same on both as admin and return the `data` of each answer."""
        answers = self.ask(method, API + path, json.dumps(body).encode())
        assert {True} == {each.status < 300 for each in answers.values()}, answers
        return {name: each.json["data"] for name, each in answers.items()}

    def _talk(self, name: str, data: bytes) -> Answer:
        for _ in range(2):
            line = self._lines.get(name) or Line(self.servers[name].url)
            self._lines[name] = line
            try:
                line.send(data)
                answer = line.answer(bodiless=data.startswith(b"HEAD "))
            except ConnectionError:
                answer = None
            if answer is not None and b"connection: close" not in answer.head.lower():
                return answer
            line.close()
            del self._lines[name]
            if answer is not None:
                return answer
        raise AssertionError(f"{name} closed without an answer to {data[:200]!r}")


def flaws(answers: Answers) -> list[str]:
    """Return what is wrong with the answers to one request: nothing, where all is well.

    Wrong are a failure of the server, what tells of its inside, and answers that differ.
    """
    found = [f"{name}: {each.status}" for name, each in answers.items() if each.status >= 500]
    found += [
        f"{name} tells of its inside: {word}"
        for name, each in answers.items()
        for word in ("Traceback", "site-packages", "sqlite3.", "psycopg", "SQLSTATE")
        if word.encode() in each.body
    ]
    told = {(each.status, each.code, _same(each.detail)) for each in answers.values()}
    return found if len(told) == 1 else [*found, f"the databases differ: {sorted(told)}"]


def _same(text: str) -> str:
    """Leave out ids and times, which no two servers share."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z", "*", text)


@contextmanager
def twins(home: Path, conninfo: str, *, sabotage: str = "", **environment: str) -> Iterator[Twins]:
    """Hold both servers open, the one on PostgreSQL in the database of *conninfo*.

    *sabotage* names a protection that they do without.
    """
    databases = {
        "sqlite": DatabaseSettings(path="app.db"),
        "postgres": DatabaseSettings(driver="postgres", conninfo=conninfo),
    }
    with ExitStack() as stack:
        servers, pids = {}, {}
        for name, database in databases.items():
            place = home / name
            place.mkdir()
            (place / ".env").write_text(f"HOOK_SECRET={HOOK_SECRET}\n")
            servers[name] = Server(
                place, database, PROJECT, sabotage=sabotage, **{**_FREE, **environment}
            )
            pids[name] = stack.enter_context(servers[name].running()).pid
        found = Twins(servers, pids)
        stack.callback(found.close)
        yield found
